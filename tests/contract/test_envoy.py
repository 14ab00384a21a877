"""A real Envoy in the place of the load balancer: it answers as the rehearsal's own front, and does what that cannot."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from balancers import Balancer
from binomial import bounds
from cloud import enable
from edges import DOMAIN, write_certificate
from gcp_rehearsal.apis.iam.tokens import id_token
from gcp_rehearsal.cloud import OWNER
from gcp_rehearsal.runtime.envoy import EnvoyFront
from gcp_rehearsal.runtime.envoy_config import GOAL_HEADER
from gcp_rehearsal.server import App
from places import ROOT
from rehearsed import Running, answering, image, rehearsing

ENVOY = ROOT / ".cache" / "envoy" / "bin" / "envoy"
pytestmark = [
    pytest.mark.edge,
    pytest.mark.skipif(not ENVOY.exists(), reason="needs the Envoy of `make test-edge`"),
]
OTHER = "other.example.com"
SERVER = """
import http.server, json, os, threading
go = threading.Event()
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path == "/go":
            go.set()
        if self.path == "/stream":
            self.send_response(200)
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"4\\r\\none\\n\\r\\n")
            go.wait(120)
            self.wfile.write(b"4\\r\\ntwo\\n\\r\\n0\\r\\n\\r\\n")
            return
        said = {"service": os.environ["K_SERVICE"], "path": self.path, "verb": self.command, "host": self.headers["host"],
                "goal": self.headers.get("x-rehearsal-goal"), "key": self.headers.get("x-rehearsal-key")}
        body = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_POST = do_GET
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


HOME = "projects/rehearsal/global/backendServices/home"


class Both:
    """One cloud with a load balancer, asked through Envoy and through the rehearsal's own front."""

    def __init__(self, running: Running, app: App, port: int, folder: Path) -> None:
        self.running, self.app, self.folder = running, app, folder
        self.balancer = Balancer(running)
        self.through = httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=120, trust_env=False)

    @property
    def front(self) -> EnvoyFront:
        return self.app._envoy

    def headers(self, host: str = DOMAIN, **more: str) -> dict[str, str]:
        token = id_token(self.running.cloud, OWNER, f"https://{DOMAIN}")
        return {"host": host, "authorization": f"Bearer {token}", **more}

    def ask(self, path: str = "/", host: str = DOMAIN, **more: str) -> httpx2.Response:
        """What Envoy's way gives."""
        return self.through.get(path, headers=self.headers(host, **more))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("edge")
    with rehearsing() as running:
        enable(running.cloud, "compute")
        stored = image(running.cloud, "small", {"/serve.py": SERVER}, command=["python3", "/serve.py"])
        for name in ("home", "away"):
            running.deploy(stored, name=name, container={"command": ["python3", "/serve.py"]})
            path = f"/v2/projects/rehearsal/locations/europe-west4/services/{name}?updateMask=customAudiences"
            running.api("PATCH", path, {"customAudiences": [f"https://{DOMAIN}"]})
        app = App(running.cloud, envoy=str(ENVOY))
        with answering(app) as port:
            made = Both(running, app, port, folder)
            prepare(made)
            yield made
            made.through.close()
    assert not [one for one in made.front._all if one.process and one.process.poll() is None]


def prepare(both: Both) -> None:
    """Two services behind one address, by header, path and host; and a port that only redirects."""
    make = both.balancer
    home, away, new = (
        make.backend(name, service, **more)
        for name, service, more in (
            ("home", "home", {}),
            ("away", "away", {}),
            ("new", "home", {"tag": "candidate"}),
        )
    )
    headed = {"prefixMatch": "/", "headerMatches": [{"headerName": "x-new", "exactMatch": "yes"}]}
    shorter = {"urlRewrite": {"pathPrefixRewrite": "/"}}
    rules = [
        {"priority": 0, "service": away, "matchRules": [{"prefixMatch": "/short/"}], "routeAction": shorter},
        {"priority": 1, "service": new, "matchRules": [headed]},
        {"priority": 2, "service": away, "matchRules": [{"prefixMatch": "/ollama"}, {"fullPathMatch": "/exact"}]},
        {"priority": 4, "service": away, "matchRules": [{"prefixMatch": "/", "headerMatches": [
            {"headerName": "x-not", "exactMatch": "no", "invertMatch": True}, {"headerName": "x-begin", "prefixMatch": "a"}]}]},
    ]  # fmt: skip
    paths = [{"paths": ["/a", "/a/*"], "service": away}, {"paths": ["/a/b"], "service": home}]
    routes = make.part("global/urlMaps", {
        "name": "m", "defaultService": home,
        "hostRules": [{"hosts": [DOMAIN], "pathMatcher": "p"}, {"hosts": [OTHER], "pathMatcher": "q"}],
        "pathMatchers": [{"name": "p", "defaultService": home, "routeRules": rules},
                         {"name": "q", "defaultService": home, "pathRules": paths}],
    })  # fmt: skip
    pair = write_certificate(both.folder, DOMAIN, OTHER)
    make.listener("f", routes, make.certificate("c", *pair))
    to_https = {"httpsRedirect": True, "redirectResponseCode": "MOVED_PERMANENTLY_DEFAULT"}
    make.listener("r", make.part("global/urlMaps", {"name": "r", "defaultUrlRedirect": to_https}))


TABLE: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("/", DOMAIN, {}),
    ("/v1/models?a=b&c=d", DOMAIN, {}),
    ("/", DOMAIN, {"x-new": "yes"}),
    ("/", DOMAIN, {"x-new": "no"}),
    ("/ollama/api/tags", DOMAIN, {}),
    ("/short/api/tags?a=/short/", DOMAIN, {}),
    ("/short/", DOMAIN, {"x-new": "yes"}),
    ("/short", DOMAIN, {}),
    ("/exact", DOMAIN, {}),
    ("/exact/more", DOMAIN, {}),
    ("/", DOMAIN, {"x-begin": "abc"}),
    ("/", DOMAIN, {"x-begin": "abc", "x-not": "no"}),
    ("/", DOMAIN, {"x-begin": "abc", "x-not": "yes"}),
    ("/a", OTHER, {}),
    ("/a/c", OTHER, {}),
    ("/a/b", OTHER, {}),
    ("/ab", OTHER, {}),
    ("/%C3%A4?q=%20", OTHER, {}),
    ("/", DOMAIN, {"authorization": "Bearer nobody"}),
    ("/", DOMAIN, {GOAL_HEADER: "guess projects/rehearsal/locations/europe-west4/services/away -"}),
)


@pytest.mark.parametrize(("path", "host", "more"), TABLE)
def test_it_answers_as_the_rehearsals_own_front(
    both: Both, path: str, host: str, more: dict[str, str]
) -> None:
    said = both.ask(path, host, **more)
    plain = both.running.client.get(path, headers=both.headers(host, **more))
    assert said.status_code == plain.status_code
    assert said.headers["via"] == "1.1 google", "it went through Envoy"
    assert "via" not in plain.headers
    if said.status_code == 200:
        assert said.json() == plain.json() | {"goal": None}
    else:
        assert said.text == plain.text


def test_a_stream_comes_piece_by_piece(both: Both) -> None:
    with both.through.stream("GET", "/stream", headers=both.headers()) as came:
        pieces = came.iter_raw()
        assert next(pieces) == b"one\n", "the second is not sent before the first was read"
        assert both.ask("/go").status_code == 200
        assert b"".join(pieces) == b"two\n"


def test_what_a_client_posts_arrives(both: Both) -> None:
    came = both.through.post("/v1/chat/completions", headers=both.headers(), content=b"x" * 100_000)
    assert (came.status_code, came.json()["verb"]) == (200, "POST")


def test_envoy_itself_finds_nothing_wrong_with_the_configuration(both: Both) -> None:
    both.ask()
    now = both.front._now
    assert now is not None
    wanted = both.folder / "envoy.json"
    wanted.write_text(json.dumps(now.told))
    checked = subprocess.run([ENVOY, "--mode", "validate", "-c", wanted], capture_output=True, text=True, check=False)  # fmt: skip
    assert checked.returncode == 0, checked.stderr
    assert f"'{wanted}' OK" in checked.stdout + checked.stderr


def test_no_private_key_is_left_where_the_rehearsal_might_be_killed(both: Both) -> None:
    both.ask()
    now = both.front._now
    assert now is not None
    assert "PRIVATE KEY" in json.dumps(now.told)
    left = [one for one in now.folder.iterdir() if one.is_file()]
    assert not [one for one in left if "PRIVATE KEY" in one.read_text(errors="replace")]


def test_the_plain_port_leads_to_https(both: Both) -> None:
    both.ask()
    now = both.front._now
    assert now is not None
    (plain,) = [one.socket for one in now.shown.values() if not one.certificate]
    transport = httpx2.HTTPTransport(uds=str(plain))
    with httpx2.Client(transport=transport) as client:
        came = client.get(f"http://{DOMAIN}/v1/models?a=b")
    assert (came.status_code, came.headers["location"]) == (301, f"https://{DOMAIN}/v1/models?a=b")


def test_a_client_that_trusts_the_certificate_of_an_address_is_answered_and_no_other_is(both: Both) -> None:
    make, ip = both.balancer, "34.120.0.77"
    everywhere = {
        "hostRules": [{"hosts": ["*"], "pathMatcher": "all"}],
        "pathMatchers": [{"name": "all", "defaultService": HOME}],
    }
    routes = make.part("global/urlMaps", {"name": "bare", "defaultService": HOME, **everywhere})
    certificate, key = write_certificate(both.folder, ip)
    make.listener("bare", routes, make.certificate("bare", certificate, key), at=ip)
    assert both.ask(host=ip).status_code == 200, "the rehearsal leads there by the address"
    now = both.front._now
    assert now is not None
    (socket,) = [one.socket for name, one in now.shown.items() if name.endswith("/bare")]

    def curl(*trusts: str) -> subprocess.CompletedProcess[str]:
        token = f"authorization: {both.headers()['authorization']}"
        asked = ["curl", "-sS", "-q", "--unix-socket", str(socket), "-H", token, *trusts, f"https://{ip}/"]
        return subprocess.run(asked, capture_output=True, text=True, timeout=120, check=False)

    answered = curl("--cacert", str(certificate))
    assert answered.returncode == 0, answered.stderr
    assert json.loads(answered.stdout)["service"] == "home"
    assert curl().returncode == 60, "it is trusted by whoever was told to, and by nobody else"
    other, _ = write_certificate(both.folder, "34.120.0.78")
    assert curl("--cacert", str(other)).returncode == 60


@contextmanager
def limited(both: Both, *, count: int, preview: bool = False) -> Iterator[None]:
    """A limit for each key, before everything that goes to `home`, until what follows is done: others ask it, too."""
    everybody = {"versionedExpr": "SRC_IPS_V1", "config": {"srcIpRanges": ["*"]}}
    limit = {
        "rateLimitThreshold": {"count": count, "intervalSec": 600}, "conformAction": "allow",
        "exceedAction": "deny(429)", "enforceOnKey": "HTTP_HEADER", "enforceOnKeyName": "x-api-key",
    }  # fmt: skip
    name = f"limit-{count}-{str(preview).lower()}"
    rules = [
        {"priority": 1, "match": everybody, "action": "throttle", "rateLimitOptions": limit, "preview": preview},
        {"priority": 2**31 - 1, "match": everybody, "action": "allow"},
    ]  # fmt: skip
    policy = both.balancer.part("global/securityPolicies", {"name": name, "rules": rules})
    both.balancer.set("global/backendServices/home", "setSecurityPolicy", {"securityPolicy": policy})
    try:
        yield
    finally:
        both.balancer.set("global/backendServices/home", "setSecurityPolicy", {})


def test_each_key_has_its_own_limit_over_all_rules_and_only_the_backends_own(both: Both) -> None:
    with limited(both, count=3):
        asked = [both.ask("/a/b" if n % 2 else "/", OTHER, **{"x-api-key": "one"}) for n in range(4)]
        assert [one.status_code for one in asked] == [200, 200, 200, 429]
        assert asked[0].json()["key"] is None, "what it counts by is not handed on"
        assert both.ask(**{"x-api-key": "two"}).status_code == 200
        assert both.ask("/ollama", **{"x-api-key": "one"}).status_code == 200, "another backend service"
        alike = ["k" * 128 + end for end in "abcd"]
        assert [both.ask(**{"x-api-key": one}).status_code for one in alike] == [200, 200, 200, 429], (
            "Cloud Armor looks at 128 bytes"
        )
        assert [both.ask().status_code for _ in range(4)] == [200, 200, 200, 429], (
            "all without a key together"
        )


def test_a_limit_in_preview_refuses_nothing_and_a_change_needs_no_new_rehearsal(both: Both) -> None:
    with limited(both, count=1, preview=True):
        assert [both.ask(**{"x-api-key": "one"}).status_code for _ in range(3)] == [200] * 3


def test_a_certificate_for_another_name_is_no_connection(both: Both) -> None:
    pair = write_certificate(both.folder, "elsewhere.example.com")
    stranger = "strange.example.com"
    home = "projects/rehearsal/global/backendServices/home"
    routes = both.balancer.part("global/urlMaps", {
        "name": "s", "defaultService": home, "hostRules": [{"hosts": [stranger], "pathMatcher": "p"}],
        "pathMatchers": [{"name": "p", "defaultService": home}],
    })  # fmt: skip
    both.balancer.listener("s", routes, both.balancer.certificate("s", *pair))
    with pytest.raises(httpx2.RemoteProtocolError):
        both.ask("/", stranger)


def test_what_is_not_acted_out_is_said(both: Both) -> None:
    action = {"weightedBackendServices": [{"backendService": HOME, "weight": 1}], "timeout": {"seconds": "5"}}
    came = both.ask("/", by_itself(both, "odd", defaultRouteAction=action))
    assert (came.status_code, came.text) == (
        501,
        "the rehearsal's Envoy does not act out timeout of a URL map\n",
    )


def by_itself(both: Both, name: str, **leads: Any) -> str:  # Any: JSON
    """A host of its own whose matcher leads so."""
    host = f"{name}.example.com"
    routes = both.balancer.part("global/urlMaps", {
        "name": name, "defaultService": HOME, "hostRules": [{"hosts": [host], "pathMatcher": "p"}],
        "pathMatchers": [{"name": "p", **leads}],
    })  # fmt: skip
    pair = write_certificate(both.folder, host)
    both.balancer.listener(name, routes, both.balancer.certificate(name, *pair))
    return host


def shared(both: Both, name: str, home: str, away: str, *, percent: int) -> str:
    """A host at which `away` answers so many percent of the requests, and `home` the rest."""
    split = [
        {"backendService": home, "weight": 100 - percent},
        {"backendService": away, "weight": percent},
    ]
    return by_itself(both, name, defaultRouteAction={"weightedBackendServices": split})


def services(both: Both, host: str, requests: int) -> Counter[str]:
    """Which services answered that many requests, and how often."""
    return Counter(both.ask("/", host).json()["service"] for _ in range(requests))


def test_each_service_of_a_split_answers_its_part_of_the_requests_with_envoy_and_without(both: Both) -> None:
    home, away = (both.balancer.backend(f"part-{one}", one) for one in ("home", "away"))
    host = shared(both, "parts", home, away, percent=30)
    fewest, most = bounds(200, 0.3)
    answered = services(both, host, 200)
    assert fewest <= answered["away"] <= most, answered
    assert answered["home"] == 200 - answered["away"]
    plain = [both.running.client.get("/", headers=both.headers(host)).json()["service"] for _ in range(200)]
    assert fewest <= plain.count("away") <= most, "the rehearsal's own front draws as well"
    assert services(both, shared(both, "none", home, away, percent=100), 20) == {"away": 20}


def test_a_header_leads_to_one_of_a_split_and_leaves_the_path_as_it_is(both: Both) -> None:
    home, away = (both.balancer.backend(f"told-{one}", one) for one in ("home", "away"))
    split = [{"backendService": home, "weight": 50}, {"backendService": away, "weight": 50}]
    told = {"prefixMatch": "/", "headerMatches": [{"headerName": "x-engine", "exactMatch": "vllm"}]}
    host = by_itself(
        both,
        "told",
        defaultRouteAction={"weightedBackendServices": split},
        routeRules=[{"priority": 1, "service": away, "matchRules": [told]}],
    )
    came = [both.ask("/v1/models", host, **{"x-engine": "vllm"}).json() for _ in range(40)]
    assert {(one["service"], one["path"]) for one in came} == {("away", "/v1/models")}
    assert set(services(both, host, 120)) == {"home", "away"}, "another value is drawn as all others"


def test_a_limit_before_one_service_of_a_split_counts_what_comes_there_alone(both: Both) -> None:
    with limited(both, count=5):
        host = shared(both, "limited", HOME, both.balancer.backend("no-limit", "away"), percent=50)
        came = Counter(
            (said.status_code, said.json()["service"] if said.status_code == 200 else "home")
            for said in (both.ask("/", host, **{"x-api-key": "shared"}) for _ in range(120))
        )
        assert came[200, "home"] == 5, came
        fewest, most = bounds(120, 0.5)
        assert fewest <= came[200, "away"] <= most, came
        assert came[429, "home"] == 120 - 5 - came[200, "away"], came


def test_a_prefix_is_rewritten(both: Both) -> None:
    rule = {
        "priority": 1, "matchRules": [{"prefixMatch": "/ollama/"}], "service": HOME,
        "routeAction": {"urlRewrite": {"pathPrefixRewrite": "/"}},
    }  # fmt: skip
    host = by_itself(both, "rewritten", defaultService=HOME, routeRules=[rule])
    assert both.ask("/ollama/api/tags?a=b", host).json()["path"] == "/api/tags?a=b"


@pytest.mark.parametrize(
    ("action", "ranges", "says"),
    [("deny(403)", ["192.0.2.0/24"], "deny(403) of Cloud Armor's rule 1"), ("allow", ["192.0.2.0/24"], "allow of Cloud Armor's rule 1")],
)  # fmt: skip
def test_a_rule_that_is_not_acted_out_is_never_taken_for_none(
    both: Both, action: str, ranges: list[str], says: str
) -> None:
    some = {"versionedExpr": "SRC_IPS_V1", "config": {"srcIpRanges": ranges}}
    everybody = {"versionedExpr": "SRC_IPS_V1", "config": {"srcIpRanges": ["*"]}}
    name = action.partition("(")[0]
    rules = [
        {"priority": 1, "match": some, "action": action},
        {"priority": 2**31 - 1, "match": everybody, "action": "allow"},
    ]
    policy = both.balancer.part("global/securityPolicies", {"name": f"some-{name}", "rules": rules})
    guarded = both.balancer.backend(f"guarded-{name}", "home")
    both.balancer.set(guarded.partition("rehearsal/")[2], "setSecurityPolicy", {"securityPolicy": policy})
    came = both.ask("/", by_itself(both, f"guarded-{name}", defaultService=guarded))
    assert (came.status_code, came.text) == (501, f"the rehearsal's Envoy does not act out {says}\n")


def test_an_envoy_that_does_not_start_is_named_with_what_to_do(both: Both) -> None:
    with answering(App(both.running.cloud, envoy="/bin/false")) as port:
        came = httpx2.get(f"http://127.0.0.1:{port}/", headers=both.headers(), trust_env=False, timeout=60)
    assert came.status_code == 502
    assert "Envoy does not take what was created: it says nothing; take envoy off the PATH" in came.text
