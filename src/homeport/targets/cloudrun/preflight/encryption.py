"""The key of Cloud KMS: whether it is there, is one of the region, is enabled, and who may use it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from homeport.errors import HomeportError, NotFound
from homeport.google import Google
from homeport.google.encryption import AGENTS, NUMBER, ROLE, WIDER, letting_use, making
from homeport.google.policy import IamResource, conditions_of, read
from homeport.json_types import Json
from homeport.targets.cloudrun.preflight.finding import (
    PreflightFinding,
    not_checked,
    ok,
    problem,
    unseen,
    warning,
)
from homeport.targets.cloudrun.preflight.request import PreflightInput

_SUBJECT = "encryption key"
_GRANTED = (ROLE, *WIDER)


async def key(google: Google, asked: PreflightInput) -> Sequence[PreflightFinding]:
    """Tell whether the key can encrypt what lies in the region; what Google does not show is told as not looked at."""
    if not asked.key:
        return []
    place = asked.key.split("/")[3]
    if place != asked.region:
        return [
            problem(
                _SUBJECT,
                f"{asked.key} is a key of {place}, and what lies in {asked.region} takes none of it",
                f"name a key of {asked.region} in access.encryption_key; with {{region}} for the location each region has its own",
            )
        ]
    try:
        live = await google.get("cloudkms", f"v1/{asked.key}")
    except NotFound:
        text = f"{asked.key} is not there, and nothing can be encrypted with it"
        return [problem(_SUBJECT, text, f"{making(asked.key)}; {_grants(asked.key, AGENTS)}")]
    except HomeportError as error:
        why = unseen(_SUBJECT, error)
        text = f"whether {asked.key} is there, and whether Google's own accounts may use it: {why.text}"
        return [not_checked(_SUBJECT, text, f"make it, and let them: {_grants(asked.key, AGENTS)}")]
    return [_unable(asked.key, live) or await _users(google, asked)]


def _unable(key: str, live: Mapping[str, Json]) -> PreflightFinding | None:
    """Return why a key that is there encrypts nothing; None for one that does."""
    primary = live.get("primary") or {}
    state = str(primary.get("state") or "")
    if state == "ENABLED":
        return None
    if not state:
        text = f"{key} has no primary version: it is not for encryption (its purpose is {live.get('purpose', 'unknown')}), or has no version yet"
        return problem(
            _SUBJECT,
            text,
            "name a key whose purpose is ENCRYPT_DECRYPT, with a primary version, in access.encryption_key",
        )
    _, owner, _, location, _, ring, _, name = key.split("/")
    number = str(primary.get("name", "")).rpartition("/")[2]
    verb = "restore" if state == "DESTROY_SCHEDULED" else "enable"
    return problem(
        _SUBJECT,
        f"the primary version of {key} is {state}, and nothing can be encrypted with it",
        f"gcloud kms keys versions {verb} {number} --key={name} --keyring={ring} --location={location} --project={owner}",
    )


async def _users(google: Google, asked: PreflightInput) -> PreflightFinding:
    """Tell whether the policies of the key, its ring and its project let Google's own accounts use it."""
    try:
        project = await google.get("cloudresourcemanager", f"v3/projects/{asked.project}")
    except HomeportError as error:
        why = unseen(_SUBJECT, error).text
        return not_checked(
            _SUBJECT, f"whether Google's own accounts may use {asked.key}: {why}", _grants(asked.key, AGENTS)
        )
    number = str(project.get("name", "")).rpartition("/")[2]
    left, hidden = dict(AGENTS), ""
    ring, owner = asked.key.partition("/cryptoKeys/")[0], asked.key.partition("/locations/")[0]
    for api, path in (("cloudkms", asked.key), ("cloudkms", ring), ("cloudresourcemanager", owner)):
        try:
            policy = await read(
                google, IamResource(api=api, path=f"{'v1' if api == 'cloudkms' else 'v3'}/{path}")
            )
        except HomeportError as error:
            hidden = hidden or unseen(_SUBJECT, error).text
            continue
        left = {
            kind: domain for kind, domain in left.items() if not _may(policy, f"service-{number}@{domain}")
        }
        if not left:
            return ok(_SUBJECT, f"{asked.key} is there and enabled, and Google's own accounts may use it")
    who = ", ".join(f"service-{number}@{domain}" for domain in left.values())
    hint = _grants(asked.key, left, number)
    if hidden:
        return not_checked(_SUBJECT, f"whether {who} may use {asked.key}: {hidden}", hint)
    text = (
        f"the policies of {asked.key}, its ring and its project do not let {who} use it; a role of your own, one of a folder "
        "or one under a condition may, which was not looked at"
    )
    return warning(_SUBJECT, text, hint)


def _may(policy: Mapping[str, Json], account: str) -> bool:
    return any(None in conditions_of(policy, role, f"serviceAccount:{account}") for role in _GRANTED)


def _grants(key: str, agents: Mapping[str, str], number: str = NUMBER) -> str:
    return "; ".join(letting_use(key, agent=f"service-{number}@{domain}") for domain in agents.values())
