"""`scripts/replay_recorded.py`: what it takes for the same, for otherwise, and for undecidable."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[3] / "scripts" / "replay_recorded.py"
SECRETS = "https://secretmanager.googleapis.com/v1/projects/${projectId}/secrets"
ADDRESSES = "https://compute.googleapis.com/compute/v1/projects/${projectId}/global/addresses"


def exchange(asked: str, body: object, status: str, answer: object) -> str:
    """As such logs have it."""
    sent = "" if body is None else f"{json.dumps(body, indent=2)}\n\n"
    return f"{asked}\nContent-Type: application/json\n\n{sent}{status}\nServer: any\n\n{json.dumps(answer)}\n\n---\n\n"


def replayed(folder: Path, *exchanges: str) -> dict[str, dict[str, int]]:
    """What the script counts."""
    folder.mkdir()
    (folder / "_http.log").write_text("".join(exchanges))
    ended = subprocess.run(
        [sys.executable, SCRIPT, folder], capture_output=True, text=True, timeout=120, check=True
    )
    told: dict[str, dict[str, int]] = json.loads(ended.stdout)
    return told


def test_a_life_with_names_of_google_s_and_of_the_client_s(tmp_path: Path) -> None:
    begun = {"kind": "compute#operation", "name": "${operationID}", "operationType": "insert"}
    operation = ADDRESSES.replace("addresses", "operations/${operationID}")
    label = {"labels": {"a": "b"}, "labelFingerprint": "abcdef0123A="}
    told = replayed(
        tmp_path / "same",
        exchange(f"GET {ADDRESSES}/${{addressID}}", None, "404 Not Found", {"error": {"code": 404}}),
        exchange(f"POST {ADDRESSES}", {"name": "${addressID}"}, "200 OK", begun),
        exchange(f"GET {operation}", None, "200 OK", {**begun, "status": "DONE"}),
        exchange(f"GET {ADDRESSES}/${{addressID}}", None, "200 OK", {"labelFingerprint": "abcdef0123A="}),
        exchange(f"POST {ADDRESSES}/${{addressID}}/setLabels", label, "200 OK", begun),
        exchange(f"DELETE {ADDRESSES}/${{addressID}}", None, "200 OK", begun),
        exchange(f"GET {ADDRESSES}/${{addressID}}", None, "404 Not Found", {"error": {"code": 404}}),
    )
    assert told["requests"] == {"same": 7}


def test_what_is_answered_otherwise_is_told_from_what_cannot_be_decided(tmp_path: Path) -> None:
    right: dict[str, object] = {"replication": {"automatic": {}}}
    wrong: dict[str, object] = {"replication": {"nowhere": {}}}
    told = replayed(
        tmp_path / "other",
        exchange(f"POST {SECRETS}?secretId=one", right, "400 Bad Request", {}),
        exchange(f"POST {SECRETS}?secretId=two", wrong, "200 OK", {}),
        exchange(f"GET {SECRETS}/made-before", None, "200 OK", {}),
        exchange(f"GET {SECRETS.replace('${projectId}', 'other')}/one", None, "200 OK", {}),
        exchange("GET https://redis.googleapis.com/v1/projects/${projectId}", None, "200 OK", {}),
    )
    assert told["requests"] == {"accepted": 1, "refused": 1, "undecidable": 3}
