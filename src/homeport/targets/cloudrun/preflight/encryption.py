"""The keys of Cloud KMS: whether each is there, is one of its region, is enabled, and who may use it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from homeport.errors import HomeportError, NotFound
from homeport.google import Google
from homeport.google.encryption import (
    AGENTS,
    ENCRYPTS,
    ROLE,
    WIDER,
    letting_agents_use,
    making,
    mending,
)
from homeport.google.policy import IamResource, conditions_of, read
from homeport.json_types import Json
from homeport.targets.cloudrun.preflight.finding import (
    Findings,
    PreflightFinding,
    PreflightVerdict,
    not_checked,
    ok,
    problem,
    unseen,
    warning,
)
from homeport.targets.cloudrun.preflight.request import PreflightInput

LOOKS = (
    "cloudkms.cryptoKeys.get",
    "cloudkms.cryptoKeys.getIamPolicy",
    "cloudkms.keyRings.getIamPolicy",
)
"""By which permissions on its ring a key is looked at. Who lacks them is told that it was not, and deploys all the same."""
_SUBJECT = "encryption key"
_GRANTED = (ROLE, *WIDER)
_EACH_S = 60.0
"""For one request with its tries, as elsewhere before anything is made."""


async def key_findings(
    google: Google, found: Findings, asked: Sequence[PreflightInput]
) -> list[PreflightFinding]:
    """
    Return whether the key of each region that has one can encrypt what lies there, by what was `found` of the project.

    What Google does not show is told as not looked at. What regions share, such as the policy of a project, is read once.
    """
    keyed = [(at, one) for at, one in enumerate(asked) if one.key]
    if not keyed:
        return []
    who = found.all[0]
    if who.subject == "credentials" and who.verdict is not PreflightVerdict.OK:
        return [
            _placed(not_checked(_SUBJECT, "there are no credentials", who.hint), at, one) for at, one in keyed
        ]
    project = next((one for one in found.all if one.subject == "project"), None)
    known = project is not None and project.verdict is PreflightVerdict.OK
    look = _KeyLook(
        google=google.within(_EACH_S),
        number=str(project.data["number"]) if project is not None and known else "",
        numberless="" if known else project.text if project is not None else "it was not looked at",
    )
    return [_placed(await look.at(one), at, one) for at, one in keyed]


def _placed(finding: PreflightFinding, at: int, asked: PreflightInput) -> PreflightFinding:
    """Return the finding with its region, where that is not the first."""
    return replace(finding, subject=f"{finding.subject} in {asked.region}") if at else finding


@dataclass(frozen=True, slots=True, kw_only=True)
class _KeyLook:
    """A look at the keys of one deployment."""

    google: Google
    number: str
    """The project's, by which Google's accounts are called; '' where it is not known."""
    numberless: str
    """Why it is not."""
    policies: dict[str, Mapping[str, Json] | HomeportError] = field(default_factory=dict)
    """Policies that were read, or why they could not be, by path."""

    async def at(self, asked: PreflightInput) -> PreflightFinding:
        """Return what there is to say of the key of one region."""
        place = asked.key.split("/")[3]
        if place != asked.region:
            return problem(
                _SUBJECT,
                f"{asked.key} is a key of {place}, and what lies in {asked.region} takes none of it",
                f"name a key of {asked.region} in access.encryption_key; with {{region}} for the location each region has its own",
            )
        try:
            live = await self.google.get("cloudkms", f"v1/{asked.key}")
        except NotFound:
            commands = making(asked.key, ring=await self._ring(asked.key))
            text = f"{asked.key} is not there, and nothing can be encrypted with it"
            return problem(_SUBJECT, text, "; ".join([*commands, *self._grants(asked)]))
        except HomeportError as error:
            why = unseen(_SUBJECT, error)
            text = f"whether {asked.key} is there, and whether Google's own accounts may use it: {why.text}"
            more = [why.hint] if why.hint else []
            return not_checked(_SUBJECT, text, "; ".join([*more, *self._grants(asked)]))
        return _unable(asked.key, live) or await self._users(asked)

    async def _ring(self, key: str) -> Literal["there", "missing", "unknown"]:
        try:
            await self.google.get("cloudkms", f"v1/{key.partition('/cryptoKeys/')[0]}")
        except NotFound:
            return "missing"
        except HomeportError:
            return "unknown"
        return "there"

    async def _users(self, asked: PreflightInput) -> PreflightFinding:
        """Tell whether the policies of the key, its ring and its project let Google's own accounts use it."""
        if not self.number:
            text = f"whether Google's own accounts may use {asked.key}: {self.numberless}"
            return not_checked(_SUBJECT, text, "; ".join(self._grants(asked)))
        left, hidden = dict(AGENTS), ""
        ring, owner = asked.key.partition("/cryptoKeys/")[0], asked.key.partition("/locations/")[0]
        for api, path in (("cloudkms", asked.key), ("cloudkms", ring), ("cloudresourcemanager", owner)):
            policy = await self._policy(api, path)
            if isinstance(policy, HomeportError):
                hidden = hidden or unseen(_SUBJECT, policy).text
                continue
            left = {
                kind: domain
                for kind, domain in left.items()
                if not _may(policy, f"service-{self.number}@{domain}")
            }
            if not left:
                return ok(_SUBJECT, f"{asked.key} is there and enabled, and Google's own accounts may use it")
        who = ", ".join(f"service-{self.number}@{domain}" for domain in left.values())
        hint = "; ".join(self._grants(asked, left))
        if hidden:
            return not_checked(_SUBJECT, f"whether {who} may use {asked.key}: {hidden}", hint)
        text = (
            f"the policies of {asked.key}, its ring and its project do not let {who} use it; a role of your own, one of a folder "
            "or one under a condition may, which was not looked at"
        )
        return warning(_SUBJECT, text, hint)

    async def _policy(self, api: str, path: str) -> Mapping[str, Json] | HomeportError:
        if path not in self.policies:
            version = "v1" if api == "cloudkms" else "v3"
            try:
                self.policies[path] = await read(self.google, IamResource(api=api, path=f"{version}/{path}"))
            except HomeportError as error:
                self.policies[path] = error
        return self.policies[path]

    def _grants(self, asked: PreflightInput, kinds: Mapping[str, str] = AGENTS) -> list[str]:
        return letting_agents_use([asked.key], asked.project, number=self.number, kinds=kinds)


def _unable(key: str, live: Mapping[str, Json]) -> PreflightFinding | None:
    """Return why a key that is there encrypts nothing, with the commands that mend it; None for one that does."""
    state = str((live.get("primary") or {}).get("state") or "")
    if state == "ENABLED":
        return None
    hint, purpose = "; ".join(mending(key, live)), live.get("purpose", ENCRYPTS)
    if purpose != ENCRYPTS:
        text = f"{key} is not for encryption: its purpose is {purpose}, which cannot be changed"
        return problem(_SUBJECT, text, f"{hint}; then name that key in access.encryption_key")
    if not state:
        text = f"{key} has no primary version, and nothing can be encrypted with it"
    else:
        text = f"the primary version of {key} is {state}, and nothing can be encrypted with it"
    return problem(_SUBJECT, text, hint)


def _may(policy: Mapping[str, Json], account: str) -> bool:
    return any(None in conditions_of(policy, role, f"serviceAccount:{account}") for role in _GRANTED)


__all__ = ["LOOKS", "key_findings"]
