"""Taking a label off a service, once what it told of is gone."""

from __future__ import annotations

from homeport.backoff import Backoff
from homeport.errors import ApiDisabled, Conflict, NotFound
from homeport.google import Google
from homeport.json_types import Json

_DEADLINE_S = 600.0
_AGAIN_WITHIN_S = 120.0


async def labelled(google: Google, service: str, label: str) -> Json | None:
    """Return the service of that path while it has the label; else None."""
    try:
        live = await google.get("run", f"v2/{service}")
    except (NotFound, ApiDisabled):
        return None
    return live if label in live.get("labels", {}) else None


async def remove_label(google: Google, service: str, label: str) -> None:
    """
    Take the label off the service of that path, where it has it; once more where another change came between.

    Whether Google makes a revision where a label alone changes was not checked; it would have no traffic.
    """
    wait = Backoff(what=f"{service} to be left alone", within=_AGAIN_WITHIN_S, first=1.0)
    while (live := await labelled(google, service, label)) is not None:
        labels = {key: value for key, value in live["labels"].items() if key != label}
        try:
            begun = await google.patch(
                "run", f"v2/{service}", {"labels": labels, "etag": live["etag"]}, updateMask="labels"
            )
            await google.finish("run", begun, key=f"label/{label}", deadline=_DEADLINE_S)
        except Conflict:
            # Another label's removal, perhaps, which goes on at the same time.
            if not await wait.pause():
                raise


__all__ = ["labelled", "remove_label"]
