"""What takes an engine's metrics to Cloud Monitoring: a sidecar in each instance, its settings, and what it may do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from homeport.catalog.images import engine_image
from homeport.catalog.prices import Prices
from homeport.gateway.callers import MOST, SERIES_EACH
from homeport.google import Google, IamResource
from homeport.observe.panels import Watched
from homeport.observe.sidecar import EVERY_S, run_monitoring
from homeport.reconcile import ActionKind, Plan, Ref, Resource
from homeport.reconcile.fact import Fact
from homeport.resources.google.budget import API, MonthlyBudget, budget
from homeport.resources.google.iam_binding import Grant, ServingGrant
from homeport.resources.google.mirrored_image import MirroredImage
from homeport.resources.google.monitoring import CHANNEL, MonitoringPart
from homeport.resources.google.rest import RestResource
from homeport.resources.google.secret import SecretVersion, secret
from homeport.resources.google.service import ROLE
from homeport.secret import Secret
from homeport.spec import Observe
from homeport.targets.cloudrun.containers import CONTAINER, ServiceContainer, Volume
from homeport.targets.cloudrun.images import mirrored
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.observe.collector import APIS as SPANS
from homeport.targets.cloudrun.observe.collector import COLLECTOR, TRACES_ROLE, collector
from homeport.targets.cloudrun.observe.fact import ObserveFact
from homeport.targets.cloudrun.observe.parts import observe_parts
from homeport.targets.cloudrun.observe.uptime import UptimeProbe
from homeport.targets.cloudrun.service_labels import BUDGET_LABEL, OBSERVE_LABEL, TRACES_LABEL

METRICS_PORT, CALLERS_PORT = 9464, 9465
"""Where an engine tells its metrics within the instance, and where the gateway tells by caller what it counts before one that does."""
CONFIGURATION, OBSERVE = "configuration", "observe"
"""The kind of the secret with the sidecar's settings, which are none, and the role by which it is known."""
APIS = ("monitoring",)
BUDGET_API = "billingbudgets"
_FOR_BUDGET = (API, "cloudbilling.googleapis.com", "cloudresourcemanager.googleapis.com")
"""Without one of these nobody sees a budget."""
SIDECAR, GATEWAY = "metrics", "gateway"
"""Containers' names, and those of their images in the endpoint's repository."""
_FOLDER, _FILE = "/etc/rungmp", "config.yaml"
_LIMITS = {"cpu": "1", "memory": "512Mi"}
"""As in Google's own example. Less than one CPU is not allowed where an instance takes several requests at once."""
_ROLES = ("roles/monitoring.metricWriter", "roles/logging.logWriter")
"""Nothing finer than the project can be granted these on."""
_REASONS, _REASONS_IN_FRONT = 5, 6
"""
Series of one counter that is told apart by how a request ended: as vLLM 0.32 has them; and before the gateway an answer, an engine
or a client that is gone, and three statuses of errors.
"""
_OPERATIONS, _STREAMED = 3, 2
"""What the gateway tells apart: chat, completions and embeddings; the last are no stream, and have no first token."""
_OF_SCRAPES = 5
"""What a scrape tells of itself, such as `up`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observing:
    """The sidecar of one endpoint, and all that it needs."""

    google: Google
    names: Names
    observe: Observe
    watched: Watched
    in_front: bool = False
    """Whether the gateway counts, since the engine tells nothing."""
    probe: UptimeProbe | None = None
    """What asks the service from outside; None where nothing does."""

    @property
    def apis(self) -> tuple[str, ...]:
        """Return the APIs that it takes."""
        traced = SPANS if self.observe.traces else ()
        return (*APIS, *traced, *((BUDGET_API,) if self.observe.budget else ()))

    @property
    def labels(self) -> dict[str, str]:
        """Return the labels by which the service tells of it."""
        traced = {TRACES_LABEL: "otlp"} if self.observe.traces else {}
        return {
            OBSERVE_LABEL: "metrics",
            **traced,
            **({BUDGET_LABEL: "month"} if self.observe.budget else {}),
        }

    @property
    def container(self) -> ServiceContainer:
        """Return the sidecar: it starts once what counts has, and asks it where nobody else may."""
        source = {
            "secret": {"secret": self.names.metrics_secret, "items": [{"path": _FILE, "version": "latest"}]}
        }
        return ServiceContainer(
            name=SIDECAR,
            image=Ref(f"image/{SIDECAR}", "reference"),
            limits=_LIMITS,
            volumes=(Volume(name="rungmp", path=_FOLDER, source=source),),
            # No probe: that of the image sleeps five seconds, and one that fails would end the engine with it.
            after=(GATEWAY if self.in_front or self.observe.callers else CONTAINER,),
        )

    @property
    def containers(self) -> tuple[ServiceContainer, ...]:
        """Return everything that stands in each instance for it, except the gateway."""
        if not self.observe.traces:
            return (self.container,)
        (after,) = self.container.after
        return (self.container, collector(self.names.name, self.names.project, after))

    @property
    def before(self) -> tuple[Resource, ...]:
        """Return what must be there before an instance starts."""
        names = self.names
        settings = run_monitoring(self.watched, METRICS_PORT, callers=self._callers_port)
        place = configuration(self.google, names.name, names.metrics_secret, names.region)
        version = SecretVersion(google=self.google, secret_id=names.metrics_secret, value=Secret(settings))
        return (replace(place, after=("apis",)), version, self._reader, *self.grants())

    def resources(self) -> list[Resource]:
        """Return everything that is wanted beside the container; in a further region what each instance needs there, and no more."""
        images = [self._image(SIDECAR), *([self._image(COLLECTOR)] if self.observe.traces else [])]
        if self.names.further:
            return [*self.before, *images]
        asking = self.probe.resources() if self.probe else []
        return [*self.before, *images, *self._watching, *asking, *self._budget]

    @property
    def parts(self) -> list[MonitoringPart]:
        """Return what there is of it in Cloud Monitoring: there once the service is, and gone before it."""
        return [*self._watching, *([self.probe.check] if self.probe else [])]

    @property
    def callers(self) -> tuple[str, ...]:
        """Return who may call the service for its sake."""
        return self.probe.callers if self.probe else ()

    @property
    def _watching(self) -> list[MonitoringPart]:
        """Return the dashboard, the alerts, and who is told of them."""
        return observe_parts(self.google, self.watched, self.observe.alerts, f"service/{self.names.name}")

    def grants(self) -> Iterator[Grant]:
        """Yield what the service's account is granted on the project."""
        project = self.names.project
        on = IamResource(api="cloudresourcemanager", path=f"v3/projects/{project}")
        for role in (*_ROLES, *((TRACES_ROLE,) if self.observe.traces else ())):
            yield self._grant(role, on, "apis", f"project/{project}")

    def facts(self, prices: Prices) -> Iterator[Fact]:
        """Yield what a plan tells of it."""
        size = self.container.size
        levels = self.watched.levels
        sent = ObserveFact.of(
            engine_image(SIDECAR).pinned, (size.cpu, size.memory_gib), (self.series, self.series_of_callers), EVERY_S,
            self.observe.alerts, prices,
        )  # fmt: skip
        objectives = levels.descriptions() if levels else ()
        traces = engine_image(COLLECTOR).pinned if self.observe.traces else ""
        asked = self.probe.text if self.probe else ""
        yield replace(sent, objectives=objectives, budget=self.observe.budget, traces=traces, uptime=asked)

    def warnings(self, plan: Plan) -> Iterator[str]:
        """Yield what a plan cannot see of it."""
        if self.observe.budget is None:
            return
        for apis in (action for action in plan.pending if action.resource.id == "apis"):
            if apis.kind is ActionKind.CREATE or any(change.path in _FOR_BUDGET for change in apis.changes):
                yield (
                    f"it is not known whether a budget of {self.names.name} is in the billing account already: it is looked for "
                    "once the APIs are on, and where it is there with another amount `up` stops at it and wants to be run again"
                )

    @property
    def series(self) -> int:
        """Return how many series an instance has at most, by what is kept of them."""
        names = self.watched.names
        single = [
            *(names.running, names.waiting, names.kv_cache, names.prompt_tokens, names.output_tokens),
            *(names.prefix_hits, names.prefix_queries, names.preemptions, names.progress),
        ]
        # Of each histogram whose sum or count alone is used, the other one and its last bucket go along.
        sums = 3 * sum(1 for series in (names.prefill_seconds, names.decode_seconds) if series)
        sums += 3 * sum(_OPERATIONS for series in single if series and "{" in series[0])
        ends = 3 * _OPERATIONS * _REASONS_IN_FRONT if self.in_front else _REASONS if names.requests else 0
        # Its buckets, the last of which has no bound, its sum and its count.
        first = (_STREAMED if self.in_front else 1) * (len(names.ttft_bounds) + 3) if names.ttft else 0
        plain = sum(1 for series in single if series and "{" not in series[0])
        return plain + sums + ends + first + _OF_SCRAPES + self.series_of_callers

    @property
    def series_of_callers(self) -> int:
        """Return how many of these tell by whom an instance was asked, at most: of those with a name, the others, and the unknown."""
        if not self.observe.callers:
            return 0
        return SERIES_EACH * (MOST + 2) + (0 if self.in_front else _OF_SCRAPES)

    @property
    def _callers_port(self) -> int | None:
        """Return where that is told; None where it is not."""
        if not self.observe.callers:
            return None
        return METRICS_PORT if self.in_front else CALLERS_PORT

    @property
    def _budget(self) -> tuple[MonthlyBudget, ...]:
        """Return the budget of the file, which goes before the service does; nothing where it has none."""
        if self.observe.budget is None:
            return ()
        channels = tuple(Ref(part.id, "name") for part in self.parts if part.kind == CHANNEL)
        monthly = budget(self.google, self.names.name, self.observe.budget, channels)
        return (replace(monthly, after=("apis", f"service/{self.names.name}")),)

    def _image(self, package: str) -> MirroredImage:
        mirror = mirrored(self.google, self.names, engine_image(package).pinned, ("apis",))
        return replace(mirror, package=package)

    @property
    def _reader(self) -> Grant:
        place = f"secret/{self.names.metrics_secret}"
        path = f"v1/projects/{self.names.project}/secrets/{self.names.metrics_secret}"
        on = IamResource(api="secretmanager", path=path)
        return self._grant("roles/secretmanager.secretAccessor", on, place, place)

    def _grant(self, role: str, on: IamResource, need: str, known_as: str) -> Grant:
        return ServingGrant(
            google=self.google,
            role=role,
            member=f"serviceAccount:{self.names.email(self.names.runner)}",
            on=on,
            known_as=known_as,
            needs=(need, f"service-account/{self.names.runner}"),
        )


def configuration(google: Google, name: str, secret_id: str, region: str) -> RestResource:
    """Return the secret that holds the sidecar's settings. Nothing of it is secret, and it goes with the service."""
    resource = secret(google, name, secret_id, region)
    labels = {**resource.wanted["labels"], ROLE: OBSERVE}
    return replace(resource, kind=CONFIGURATION, wanted={**resource.wanted, "labels": labels})
