"""Which container of a revision is the sidecar of Managed Prometheus, and what it is told now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gcp_rehearsal.apis.secretmanager.versions import read as read_secret
from gcp_rehearsal.json_types import Json
from gcp_rehearsal.runtime.mounts import secret_name
from gcp_rehearsal.runtime.run_monitoring import IMAGE, PATH, RunMonitoring, read

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

_NO_FILE = b'{"apiVersion": "monitoring.googleapis.com/v1beta", "kind": "RunMonitoring"}'


def sidecar_of(revision: Mapping[str, Json]) -> str | None:
    """Return the name of the revision's sidecar of Managed Prometheus; None without one."""
    for container in revision["containers"]:
        last = str(container["image"]).rpartition("/")[2]
        if last.partition("@")[0].partition(":")[0] == IMAGE:
            return str(container.get("name", ""))
    return None


def settings(cloud: Cloud, revision: Mapping[str, Json]) -> RunMonitoring:
    """Return what the revision's sidecar is told now. Raises `NotUnderstood`; `ApiError` for a secret that cannot be read."""
    sidecar = next(
        container
        for container in revision["containers"]
        if str(container.get("name", "")) == sidecar_of(revision)
    )
    folder, _, file = PATH.rpartition("/")
    volume = next(
        (
            mount["name"]
            for mount in sidecar.get("volumeMounts", ())
            if mount["mountPath"].rstrip("/") == folder
        ),
        "",
    )
    source = next(
        (candidate.get("secret") for candidate in revision.get("volumes", ()) if candidate["name"] == volume),
        None,
    )
    item = next((listed for listed in (source or {}).get("items", ()) if listed["path"] == file), None)
    if source is None or item is None:
        return read(_NO_FILE)
    return read(read_secret(cloud, secret_name(revision["name"], source["secret"], item.get("version"))))
