"""What stands already where one of Google's roads shall screen: what serves, by which names, and whether it can be reached past the road."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from homeport.google import Google
from homeport.resources.google.traffic import Body, is_closed, shares, short
from homeport.targets.cloudrun.front import screening_gateway
from homeport.targets.cloudrun.marks import ADAPTED
from homeport.targets.cloudrun.preflight.finding import PreflightFinding, problem
from homeport.targets.cloudrun.service_spec import ANNOTATION

_LATEST = ":latest"
_MODEL = f"{ANNOTATION}model"


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingService:
    """The endpoint's service as it is, with the revisions that have traffic."""

    service: Body = field(default_factory=dict)
    """{} where there is none."""
    serving: tuple[Body, ...] = ()
    public: bool = False
    """Whether the file lets everybody in."""

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names under which what serves can be asked for."""
        return tuple(dict.fromkeys(name for revision in self.serving for name in names_of(revision)))

    @property
    def lets_past(self) -> bool:
        """Tell whether something serves at an address of its own, past any load balancer."""
        return bool(self.serving) and not is_closed(self.service)

    def findings(self, where: str) -> Iterator[PreflightFinding]:
        """Yield what would be reached unscreened, were the road made now."""
        closed = is_closed(self.service)
        if self.public and not closed:
            yield problem(
                "guard",
                f'access.public lets everybody in at the service\'s own address, where guard.where = "{where}" does not screen, until that is '
                "closed, and it is closed only once the load balancer answers",
                "take public out of [access] for now and say `homeport up --on cloudrun`; put it in again once that has ended well",
            )
        screening = [short(str(one["name"])) for one in self.serving if screening_gateway(one) is not None]
        if screening and not closed:
            yield problem(
                "guard",
                f'{", ".join(screening)} screens in its gateway, and the service\'s own address is open: guard.where = "{where}" would '
                "take the gateway away, and those who may call it now would reach the model there unscreened until the load balancer answers",
                'set where = "gateway" (without unscreened) in [guard] for now, leave [edge] in, and say `homeport up --on cloudrun`; '
                f'set where = "{where}" once that has ended well, for the address is closed then',
            )
        unnamed = [short(str(one["name"])) for one in self.serving if not names_of(one)]
        if unnamed and where == "traffic-extension":
            yield problem(
                "guard",
                f"{', '.join(unnamed)} has traffic and does not say under which name: a traffic extension screens only names that it is told",
                'take "authz-extension" for where in [guard], which is told none, or send the traffic to a revision of homeport\'s first',
            )


async def standing_service(google: Google, service: Body, *, public: bool) -> StandingService:
    """Return it with what has traffic. Raises what reading raises: what serves must be known, or it would go unscreened."""
    revisions = [
        dict(await google.get("run", f"v2/{service['name']}/revisions/{name}")) for name in shares(service)
    ]
    return StandingService(service=service, serving=tuple(revisions), public=public)


def names_of(revision: Body) -> tuple[str, ...]:
    """Return the names of the model and the adapters of a revision; none where it does not say its model."""
    marks: Mapping[str, str] = revision.get("annotations", {})
    if not marks.get(_MODEL):
        return ()
    adapters = [entry.partition("=")[0] for entry in marks.get(ADAPTED, "").split()]
    return (marks[_MODEL], *adapters)


def model_names(models: Sequence[str]) -> list[str]:
    """Return the names under which each may be asked for: one without a tag also with that which it means."""
    every = [(model, *(() if ":" in model else (f"{model}{_LATEST}",))) for model in models]
    return list(dict.fromkeys(name for names in every for name in names))


__all__ = ["StandingService", "model_names", "names_of", "standing_service"]
