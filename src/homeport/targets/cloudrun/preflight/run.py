"""All checks at once; one that fails hides none of the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from homeport.errors import HomeportError, NoCredentials
from homeport.google import Google
from homeport.targets.cloudrun.preflight import (
    availability,
    hub_access,
    images,
    networks,
    permissions,
    policies,
    project,
    quotas,
    secrets,
)
from homeport.targets.cloudrun.preflight.finding import (
    Findings,
    PreflightFinding,
    not_checked,
    ok,
    problem,
    unseen,
)
from homeport.targets.cloudrun.preflight.request import PreflightInput

_EACH_S = 60.0
"""For one request with its tries: a preflight that hangs is worse than one that says what it could not read."""


@dataclass(frozen=True, slots=True)
class PreflightCheck:
    """One thing that is looked at, on its own."""

    subject: str
    look: Callable[[Google, PreflightInput], Awaitable[Sequence[PreflightFinding]]]


CHECKS = (
    PreflightCheck("project", project.project),
    PreflightCheck("billing", project.billing),
    PreflightCheck("free trial", project.trial),
    PreflightCheck("region", availability.region),
    PreflightCheck("quota", quotas.quotas),
    PreflightCheck("policy", policies.policies),
    PreflightCheck("permissions", permissions.permissions),
    PreflightCheck("bucket", availability.bucket),
    PreflightCheck("repository", availability.repository),
    PreflightCheck("service", availability.service),
    PreflightCheck("network", networks.network),
    PreflightCheck("subnetwork", networks.subnetwork),
    PreflightCheck("proxies", networks.proxies),
    PreflightCheck("addresses", networks.addresses),
    PreflightCheck("firewall", networks.opened),
    PreflightCheck("secret", secrets.check_secrets),
    PreflightCheck("hub", hub_access.gate),
    PreflightCheck("image", images.image),
)


async def preflight(google: Google, asked: PreflightInput) -> Findings:
    """Return everything that can be known about a deployment before anything is created.

    Only reads, all at once. Raises nothing: what could not be read is a finding that says so.
    """
    google = google.within(_EACH_S)
    who = await _who(google)
    if who.verdict != "ok":
        unchecked = (not_checked(check.subject, "there are no credentials", who.hint) for check in CHECKS)
        return Findings((who, *unchecked))
    results = await asyncio.gather(*(_run_check(check, google, asked) for check in CHECKS))
    return Findings((who, *(finding for several in results for finding in several)))


async def _who(google: Google) -> PreflightFinding:
    try:
        await google.credentials.token()
    except NoCredentials as error:
        return problem("credentials", str(error), error.hint)
    except HomeportError as error:
        return problem("credentials", f"there is no token: {error}", error.hint)
    try:
        who = await google.credentials.who()
    except HomeportError:
        who = ""
    return ok(
        "credentials", f"you are {who}" if who else "there are some; whose they are is not known", who=who
    )


async def _run_check(
    check: PreflightCheck, google: Google, asked: PreflightInput
) -> Sequence[PreflightFinding]:
    try:
        return await check.look(google, asked)
    except HomeportError as error:
        return [unseen(check.subject, error)]
