"""A rehearsal on two ports with a private service in it, as a program: what it says first is one line of JSON."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path

from attack.stage import WORDS
from cloud import enable
from gcp_rehearsal import server
from gcp_rehearsal.apis.iam.tokens import id_token
from gcp_rehearsal.clock import Clock
from gcp_rehearsal.cloud import AT_ONCE, OWNER, Cloud
from gcp_rehearsal.runtime.build.steps import Worked
from gcp_rehearsal.runtime.launch_adaptation import HOST
from gcp_rehearsal.runtime.processes import Engines
from homeport.cli.rehearse_environment import variables
from homeport.cli.rehearse_programs import programs
from rehearsed import Running, image

_SERVICE = f"""
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        with open(os.environ["REQUESTS"], "a") as log:
            log.write(self.command + " " + self.path + "\\n")
        body = b'{{"choices": [{{"text": "{WORDS}"}}], "data": [{{"id": "{WORDS}"}}]}}'
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else body)
    do_POST = do_HEAD = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_GET
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def main() -> None:
    """Serve until SIGTERM."""
    engines = Engines(programs())
    cloud = Cloud(delays=AT_ONCE, containers=engines, clock=Clock(speed=60))
    enable(cloud, "run", "cloudbuild", "storage", "iam", "secretmanager", "logging")
    with server.listen(0) as listening, server.listen(0) as inside:
        port = listening.getsockname()[1]
        with closing(Worked(url=f"http://{HOST}:{port}", env={}, programs=programs())) as cloud.steps:
            told = {"port": port, "inside": inside.getsockname()[1]}
            threading.Thread(target=_furnish, args=(cloud, told), daemon=True).start()
            server.serve(cloud, listening, inside=inside)


def _furnish(cloud: Cloud, told: dict[str, object]) -> None:
    """Deploy the service, then say where all is; where that fails, the server ends."""
    try:
        _deploy(cloud, told)
    except Exception:
        os.kill(os.getpid(), signal.SIGTERM)
        raise


def _deploy(cloud: Cloud, told: dict[str, object]) -> None:
    time.sleep(0.2)
    log = Path(tempfile.mkdtemp()) / "requests.log"
    log.touch()
    port = told["port"]
    assert isinstance(port, int)
    running = Running(cloud, port)
    reference = image(cloud, "served", {"/server.py": _SERVICE}, cmd=["python", "/server.py"])
    env = [{"name": "REQUESTS", "value": str(log)}]
    running.deploy(reference, container={"env": env})
    url = f"http://{HOST}:{port}"
    environment = variables(url, "rehearsal", secret=cloud.secret, caller=OWNER, folder=cloud.folder)
    uri = running.service()["uri"]
    identities = {
        "good": id_token(cloud, OWNER, uri),
        "a stranger": id_token(cloud, "stranger@example.com", uri),
        "for somebody else": id_token(cloud, OWNER, "https://other.run.app"),
    }
    said = {
        **told,
        "identities": identities,
        "key": cloud.token(OWNER),
        "service": uri,
        "environment": environment,
        "log": str(log),
        "instances": running.instances(),
        "owner": OWNER,
        "pid": os.getpid(),
    }
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
