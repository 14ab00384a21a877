"""What Cloud Run counts by itself, as Cloud Monitoring names it in PromQL: requests that reached an instance, and instances."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gcp_rehearsal.apis.run.status import segments
from gcp_rehearsal.json_types import Json

REQUESTS = "run_googleapis_com:request_count"
INSTANCES_SEEN = "run_googleapis_com:container_instance_count"
_RESOURCE = "cloud_run_revision"


class RequestCounts:
    """Counts since the rehearsal began. What was refused before it reached an instance is not among them, as in the cloud."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}
        self._shown: set[tuple[str, str]] = set()

    def add(self, revision: Mapping[str, Json], status: int) -> None:
        """Count a request that an instance of the revision has answered, or should have."""
        key = (_labels(revision), f'response_code="{status}",response_code_class="{status // 100}xx"')
        self._counts[key] = self._counts.get(key, 0) + 1

    def text(self, instances: Sequence[tuple[Mapping[str, Json], bool]]) -> str:
        """
        Return it in the form that a Prometheus reads; `instances` are revisions, each with whether its instance works on something.

        A count is told as 0 first: a Prometheus sees an increase only of what it knows, where Cloud Monitoring sees what is new, too.
        """
        return "".join(f"{line}\n" for line in (*self._requests(), *_seen(instances)))

    def _requests(self) -> Iterator[str]:
        yield f"# TYPE {REQUESTS} counter"
        for key, count in sorted(self._counts.items()):
            yield f"{REQUESTS}{{{','.join(key)}}} {count if key in self._shown else 0}"
            self._shown.add(key)


def _seen(instances: Sequence[tuple[Mapping[str, Json], bool]]) -> Iterator[str]:
    yield f"# TYPE {INSTANCES_SEEN} gauge"
    found: dict[str, dict[str, int]] = {}
    for revision, works in instances:
        states = found.setdefault(_labels(revision), {"active": 0, "idle": 0})
        states["active" if works else "idle"] += 1
    for labels, states in sorted(found.items()):
        for state, count in states.items():
            yield f'{INSTANCES_SEEN}{{{labels},state="{state}"}} {count}'


def _labels(revision: Mapping[str, Json]) -> str:
    project, location, short = segments(str(revision["name"]))
    service = str(revision["service"]).rpartition("/")[2]
    return (
        f'monitored_resource="{_RESOURCE}",project_id="{project}",location="{location}",service_name="{service}",'
        f'configuration_name="{service}",revision_name="{short}"'
    )
