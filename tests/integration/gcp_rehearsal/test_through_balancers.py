"""Requests to a domain go through a load balancer's own URL map to a closed service, and not around it."""

from __future__ import annotations

from pathlib import Path

from balancers import Balancer
from cloud import enable
from edges import DOMAIN, write_certificate
from gcp_rehearsal.apis.iam.tokens import id_token
from gcp_rehearsal.cloud import OWNER
from patience import until
from rehearsed import SMALL_SERVER, Running, image, rehearsing


def balanced(running: Running, folder: Path) -> None:
    """A load balancer before the service `home`, with a way to the tag `candidate` by a header."""
    make = Balancer(running)
    main, new = make.backend("main", "home"), make.backend("new", "home", tag="candidate")
    rule = {
        "priority": 1, "service": new,
        "matchRules": [{"prefixMatch": "/", "headerMatches": [{"headerName": "x-new", "exactMatch": "yes"}]}],
    }  # fmt: skip
    routes = make.part("global/urlMaps", {
        "name": "m", "defaultService": main, "hostRules": [{"hosts": [DOMAIN], "pathMatcher": "p"}],
        "pathMatchers": [{"name": "p", "defaultService": main, "routeRules": [rule]}],
    })  # fmt: skip
    make.listener("f", routes, make.certificate("c", *write_certificate(folder)))


def asked(running: Running, path: str = "/", **headers: str) -> int:
    """What somebody with a token for the domain gets there."""
    token = id_token(running.cloud, OWNER, f"https://{DOMAIN}")
    sent = {"host": DOMAIN, "authorization": f"Bearer {token}", **headers}
    return running.client.get(path, headers=sent).status_code


def test_a_closed_service_is_reached_by_its_load_balancer_alone(tmp_path: Path) -> None:
    with rehearsing() as running:
        enable(running.cloud, "compute")
        stored = image(running.cloud, "small", {"/serve.py": SMALL_SERVER}, command=["python3", "/serve.py"])
        running.deploy(stored, container={"command": ["python3", "/serve.py"]})
        url = running.service()["uri"]
        assert running.client.get("/", headers={"host": DOMAIN}).status_code == 403, (
            "no load balancer has that name"
        )
        balanced(running, tmp_path)
        change = {
            "ingress": "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER", "defaultUriDisabled": True,
            "customAudiences": [f"https://{DOMAIN}"],
        }  # fmt: skip
        path = f"/v2/projects/rehearsal/locations/europe-west4/services/home?updateMask={','.join(change)}"
        begun = running.api("PATCH", path, change)
        until(lambda: running.api("GET", f"/v2/{begun['name']}"), lambda op: op.get("done"))
        assert asked(running) == 200
        assert asked(running, **{"x-new": "yes"}) == 404, "no revision has the tag yet"
        token = id_token(running.cloud, OWNER, f"https://{DOMAIN}")
        around = {"host": url.removeprefix("https://"), "authorization": f"Bearer {token}"}
        assert running.client.get("/", headers=around).status_code == 404
        assert running.client.get("/", headers={"host": DOMAIN}).status_code == 403, (
            "IAM is asked behind it, too"
        )
