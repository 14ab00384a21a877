"""`python -m gcp_rehearsal`: Google Cloud on a port of loopback, for anybody who tests against it."""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from gcp_rehearsal import credentials, options, server
from gcp_rehearsal.client_environment import environment
from gcp_rehearsal.clock import Clock
from gcp_rehearsal.cloud import OWNER, Cloud, Project
from gcp_rehearsal.errors import FaultError, RehearsalError
from gcp_rehearsal.faults import parse
from gcp_rehearsal.runtime.build.steps import Worked
from gcp_rehearsal.runtime.container_runtime import Willing
from gcp_rehearsal.runtime.envoy_program import envoy_program
from gcp_rehearsal.runtime.launch_adaptation import HOST
from gcp_rehearsal.runtime.processes import Engines
from gcp_rehearsal.runtime.prometheus_program import prometheus_program


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C or SIGTERM; return the exit code."""
    chosen = _parser().parse_args(arguments)
    server.end_in_order()
    try:
        cloud = Cloud(
            projects=(Project(id=chosen.project, default_network=True),),
            clock=Clock(speed=chosen.speed),
            strips_proof=chosen.strip_proof,
            faults=chosen.fault,
            containers=Willing() if chosen.pretend else Engines(),
        )
        with server.listen(chosen.port) as listening, tempfile.TemporaryDirectory() as logins:
            url = f"http://{HOST}:{listening.getsockname()[1]}"
            with closing(Worked(url=url)) as steps:
                cloud.steps = steps
                variables = environment(url, chosen.project)
                variables |= credentials.log_in(Path(logins), url, cloud.secret, chosen.caller)
                for name, value in variables.items():
                    _say(f"export {name}={shlex.quote(value)}")
                _say(f"# Google Cloud is rehearsed on {url}; Ctrl-C ends it")
                server.serve(cloud, listening, envoy=envoy_program(), prometheus=prometheus_program())
    except RehearsalError as error:
        sys.stderr.write(f"error: {error}\n   do: {error.hint}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m gcp_rehearsal", description=__doc__)
    parser.add_argument("--port", type=_typed(options.port), default=8600, help="0 for any; 8600")
    parser.add_argument(
        "--project",
        type=_typed(options.project_id),
        default=Project().id,
        help="the project that is there; rehearsal",
    )
    parser.add_argument(
        "--as",
        dest="caller",
        type=_typed(options.email),
        default=OWNER,
        help=f"who is logged in; {OWNER}, its owner",
    )
    parser.add_argument(
        "--speed", type=_typed(options.speed), default=1.0, help="its seconds in one of ours; 1"
    )
    parser.add_argument(
        "--fault", action="append", default=[], type=_typed(parse), metavar="METHOD:WHAT[:after][:nth=N][:times=N]",
        help="let a call fail: WHAT is 429, 500, 503, drop, twin, delay=SECONDS or jump=SECONDS; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--strip-proof", action="store_true",
        help="let Cloud Run take X-Serverless-Authorization away once it has looked at it: whether it does is not confirmed",
    )  # fmt: skip
    parser.add_argument("--pretend", action="store_true", help="start no processes for containers")
    return parser


def _typed(check: Callable[[str], object]) -> Callable[[str], object]:
    """Return the type of an option whose text is checked so."""

    def typed(text: str) -> object:
        try:
            return check(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error
        except FaultError as error:
            raise argparse.ArgumentTypeError(f"{error}: {error.hint}") from error

    return typed


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
