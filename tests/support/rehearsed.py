"""A rehearsed Cloud Run on a socket, with images made by hand: what the tests of serving stand on."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import uvicorn

from cloud import enable
from gcp_rehearsal.apis.iam.tokens import id_token
from gcp_rehearsal.clock import Clock
from gcp_rehearsal.cloud import AT_ONCE, OWNER, Cloud
from gcp_rehearsal.runtime.processes import Engines
from gcp_rehearsal.server import App, listen
from homeport.cli.rehearse_programs import programs
from patience import until

REGION = "projects/rehearsal/locations/europe-west4"
SMALL_SERVER = """
import http.server, json, os, sys, time
print("hello from", os.environ["K_REVISION"], flush=True)
if "DIE" in os.environ:
    sys.exit("the weights are not there")
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path.startswith("/slow"):
            time.sleep(float(self.path.partition("=")[2]))
        if self.path.startswith("/until="):
            over = self.path.partition("=")[2]
            open(over + "." + str(os.getpid()), "w").close()
            while not os.path.exists(over):
                time.sleep(0.01)
        said = {"pid": os.getpid(), "argv": sys.argv[1:], "env": dict(os.environ), "headers": dict(self.headers)}
        if self.path.startswith("/file="):
            path = self.path.partition("=")[2]
            said = {"text": open(path).read()}
            for what in (lambda: open(path, "a").close(), lambda: os.remove(path), lambda: open(path + ".more", "w").close()):
                try:
                    what()
                    said["written"] = True
                except OSError as error:
                    said["refused"] = error.strerror
        body = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_POST = do_GET
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def image(cloud: Cloud, name: str, files: Mapping[str, str | Path], **said: Any) -> str:  # Any: JSON
    """An image as a build leaves it: files by their paths in the container; returns its reference."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    folder = cloud.folder / "images" / digest
    (folder / "root").mkdir(parents=True)
    for path, content in files.items():
        target = folder / "root" / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            shutil.copyfile(content, target)
        else:
            target.write_text(content)
    (folder / "image.json").write_text(json.dumps(said))
    return f"example.com/{name}@sha256:{digest}"


class Running:
    """The rehearsal as a client sees it."""

    def __init__(self, cloud: Cloud, port: int) -> None:
        self.cloud = cloud
        self.client = httpx2.Client(
            base_url=f"http://127.0.0.1:{port}", timeout=300, trust_env=False, verify=False
        )

    def api(self, verb: str, path: str, body: Any = None, host: str = "run") -> Any:  # Any: JSON
        """A call to an API; its answer must be good."""
        headers = {"host": f"{host}.googleapis.com", "authorization": f"Bearer {self.cloud.token(OWNER)}"}
        came = self.client.request(verb, path, json=body, headers=headers)
        assert came.status_code == 200, came.text
        return came.json()

    def deploy(
        self, reference: str, *, name: str = "home", change: bool = False, **more: Any
    ) -> Any:  # Any: JSON
        """The operation that deploys a service with one container, when it has ended."""
        container = {"image": reference, "ports": [{"containerPort": 8080}], **more.pop("container", {})}
        traffic = more.pop("traffic", None)
        body: dict[str, Any] = {"template": {"containers": [container], **more}}  # Any: JSON
        body |= {"traffic": traffic} if traffic else {}
        place = f"/v2/{REGION}/services"
        begun = (
            self.api("PATCH", f"{place}/{name}", body)
            if change
            else self.api("POST", f"{place}?serviceId={name}", body)
        )
        return until(lambda: self.api("GET", f"/v2/{begun['name']}"), lambda op: op.get("done"))

    def service(self, name: str = "home") -> Any:  # Any: JSON
        """A service as it is."""
        return self.api("GET", f"/v2/{REGION}/services/{name}")

    def call(
        self, path: str, *, who: str = OWNER, host: str = "", **more: Any
    ) -> httpx2.Response:  # Any: httpx2's
        """A request to the service; `who` is '' for nobody."""
        url = self.service()["uri"]
        headers = {"host": host or url.removeprefix("https://"), **more.pop("headers", {})}
        if who:
            headers["authorization"] = f"Bearer {id_token(self.cloud, who, url)}"
        return self.client.request(more.pop("verb", "GET"), path, headers=headers, **more)

    def instances(self) -> list[dict[str, Any]]:  # Any: JSON
        """What the rehearsal says of its processes."""
        found: list[dict[str, Any]] = self.client.get(  # Any: JSON
            "/rehearsal/v1/instances", headers={"authorization": f"Bearer {self.cloud.token(OWNER)}"}
        ).json()["instances"]
        return found

    def logs(self) -> list[str]:
        """All lines of the project's logs."""
        asked = {"resourceNames": ["projects/rehearsal"], "pageSize": 1000}
        entries = self.api("POST", "/v2/entries:list", asked, host="logging").get("entries", [])
        return [entry.get("textPayload", "") for entry in entries]


@contextmanager
def answering(app: App, *more: socket.socket) -> Iterator[int]:
    """The port on which a rehearsal answers, as on those of `more`."""
    with listen(0) as listening:
        config = uvicorn.Config(
            app, log_config=None, lifespan="off", http="h11", ws="none", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening, *more]})
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()
            app.close()


@contextmanager
def running_engines(cloud: Cloud, engines: Engines) -> Iterator[int]:
    """Yield the port at which a cloud answers whose services are these engines', which also have a way in from within."""
    with ExitStack() as stack:
        stack.callback(engines.shutdown)
        inside = stack.enter_context(listen(0))
        inside_port = inside.getsockname()[1]
        port = stack.enter_context(answering(App(cloud, inside=inside_port), inside))
        engines.url, engines.inside = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{inside_port}"
        yield port


@contextmanager
def rehearsing() -> Iterator[Running]:
    """A rehearsal on a free port; when it ends, nothing that it started is left."""
    engines = Engines(programs())
    cloud = Cloud(delays=AT_ONCE, containers=engines, clock=Clock(speed=60))
    enable(cloud, "run", "secretmanager")
    with ExitStack() as stack:
        port = stack.enter_context(running_engines(cloud, engines))
        running = Running(cloud, port)
        stack.callback(running.client.close)
        yield running
