"""The life of an agent beside its model on a rehearsed Cloud Run, whichever engine serves the model."""

from __future__ import annotations

import re
from typing import Any

import httpx2

from commands_on_cloudrun import OnCloudRun


def goes_up_is_asked_and_goes_down(cloud: OnCloudRun) -> None:
    """The file's agent has the calculator, and its model was not taught sums."""
    planned = cloud.run("plan", "--json").json
    assert planned["facts"]["agent"]["tools"] == ["calculator"]
    # It is asked for a sum at the end, and this model knows nothing but the weather: it says so, of the agent alone.
    came = cloud.run("agent", "up", "--yes", code=3)
    assert "demo-agent" in came.out + came.err
    assert cloud.run("plan", "--json").json["changes_pending"] is False
    status = cloud.run("status", "--json").json
    (part,) = status["parts"]
    assert (part["name"], part["state"]) == ("demo-agent", "ready")

    url = cloud.rehearsal.gcloud(
        "run", "services", "describe", "demo-agent", "--region=europe-west4", "--format=value(status.url)"
    ).out.strip()
    assert sent(cloud, url, path="/v1/models").status_code == 403
    token = cloud.rehearsal.id_token()
    card = sent(cloud, url, path="/.well-known/agent-card.json", token=token).json()
    assert card["supportedInterfaces"][0]["url"] == f"{url}/a2a"
    access = cloud.rehearsal.gcloud("auth", "print-access-token").out.strip()
    path = "/v1/projects/rehearsal/locations/europe-west4/services/demo-agent"
    entry = sent(cloud, "https://agentregistry.googleapis.com", path=path, token=access).json()
    assert entry["agentSpec"]["content"] == card, "what others find is what it tells itself"
    body = {"model": "demo-agent", "messages": [{"role": "user", "content": "What is 6*7?"}]}
    answer = sent(cloud, url, body, path="/v1/chat/completions", token=token)
    # The model was taught another tool, so what it comes to is its own affair; that it was reached is not.
    assert answer.status_code in {200, 422}, answer.text
    if answer.status_code == 200:
        assert answer.json()["usage"]["completion_tokens"] > 0

    (found,) = cloud.run("verify", "--only", "agent", "--json", code=3).json["results"]
    assert (found["name"], found["outcome"]) == ("agent", "failed")
    assert "What is " in str(found)
    assert "answers 403" not in found["detail"], "the numbers of the question are drawn, and may hold a 403"

    asked = cloud.run("agent", "run", "Hello", "--no-tools", "--max-steps", "1", "--max-tokens", "4", "--max-usd", "1", "--anyway", code=None)  # fmt: skip
    assert re.search(r" s, 0\.\d{4} USD", asked.err), asked.err

    gone = cloud.run("down", "--yes", "--purge").out
    assert gone.index("removed registry entry demo-agent") < gone.index("removed service demo-agent")
    assert gone.index("removed service demo-agent") < gone.index("removed service demo\n")
    assert cloud.run("down", "--yes", "--purge").out.strip().startswith("nothing of demo is there")


def sent(cloud: OnCloudRun, url: str, body: Any = None, *, path: str, token: str = "") -> httpx2.Response:
    headers = {"host": url.removeprefix("https://")} | ({"authorization": f"Bearer {token}"} if token else {})
    with httpx2.Client(base_url=cloud.rehearsal.url, trust_env=False, verify=False, timeout=240) as client:
        if body is None:
            return client.get(path, headers=headers)
        return client.post(path, json=body, headers=headers)
