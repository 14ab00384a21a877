"""
What Cloud Run counts by itself, as Cloud Monitoring names it in PromQL: requests that reached an instance, instances, the time that is
billed for them, and their starts. The last two are looked at as often as it is asked: an instance between two looks is not seen.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from gcp_rehearsal.apis.run.status import segments
from gcp_rehearsal.json_types import Json

REQUESTS = "run_googleapis_com:request_count"
INSTANCES_SEEN = "run_googleapis_com:container_instance_count"
BILLED = "run_googleapis_com:container_billable_instance_time"
STARTS = "run_googleapis_com:container_startup_latencies_count"
_RESOURCE = "cloud_run_revision"


class RequestCounts:
    """Counts since the rehearsal began. What was refused before it reached an instance is not among them, as in the cloud."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._looked = clock, clock()
        self._billed: dict[str, float] = {}
        self._starts: dict[str, int] = {}
        self._running: Counter[str] = Counter()
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
        lines = (
            *self._requests(),
            *_instance_lines(instances),
            *self._time(Counter(_labels(revision) for revision, _ in instances)),
        )
        return "".join(f"{line}\n" for line in lines)

    def _time(self, running: Counter[str]) -> Iterator[str]:
        """Yield what was billed until now, and how often an instance came: told as 0 when it is seen first."""
        now = self._clock()
        for labels in running:
            new = labels not in self._billed
            started = max(0, running[labels] - self._running[labels])
            self._billed[labels] = (
                0.0 if new else self._billed[labels] + running[labels] * (now - self._looked)
            )
            self._starts[labels] = self._starts.get(labels, 0) + (0 if new else started)
        self._running = Counter(
            {labels: 0 if labels not in self._running else count for labels, count in running.items()}
        )
        self._looked = now
        yield f"# TYPE {BILLED} counter"
        yield from (f"{BILLED}{{{labels}}} {value}" for labels, value in sorted(self._billed.items()))
        yield f"# TYPE {STARTS} counter"
        yield from (f"{STARTS}{{{labels}}} {value}" for labels, value in sorted(self._starts.items()))

    def _requests(self) -> Iterator[str]:
        yield f"# TYPE {REQUESTS} counter"
        for key, count in sorted(self._counts.items()):
            yield f"{REQUESTS}{{{','.join(key)}}} {count if key in self._shown else 0}"
            self._shown.add(key)


def _instance_lines(instances: Sequence[tuple[Mapping[str, Json], bool]]) -> Iterator[str]:
    yield f"# TYPE {INSTANCES_SEEN} gauge"
    by_labels: dict[str, dict[str, int]] = {}
    for revision, works in instances:
        states = by_labels.setdefault(_labels(revision), {"active": 0, "idle": 0})
        states["active" if works else "idle"] += 1
    for labels, states in sorted(by_labels.items()):
        for state, count in states.items():
            yield f'{INSTANCES_SEEN}{{{labels},state="{state}"}} {count}'


def _labels(revision: Mapping[str, Json]) -> str:
    project, location, short = segments(str(revision["name"]))
    service = str(revision["service"]).rpartition("/")[2]
    return (
        f'monitored_resource="{_RESOURCE}",project_id="{project}",location="{location}",service_name="{service}",'
        f'configuration_name="{service}",revision_name="{short}"'
    )
