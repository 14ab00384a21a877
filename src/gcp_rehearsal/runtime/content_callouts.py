"""
Model Armor as a callout of a load balancer: what was attached to a forwarding rule, and what it says of a request and its answer.

It asks the rehearsed Model Armor itself, as the account by which Service Extensions act in the project: so its template, its roles and
its outages count. What a filter did not look at passes: no page of Google's says what the callout does then.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gcp_rehearsal.apis.networkservices import callouts
from gcp_rehearsal.call import Request
from gcp_rehearsal.cloud import Dropped
from gcp_rehearsal.iam.caller import Caller
from gcp_rehearsal.json_text import read_json
from gcp_rehearsal.json_types import Json
from gcp_rehearsal.runtime.screened_texts import answer_of, is_known, prompt_of
from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

AGENT = "service-{number}@gcp-sa-dep.iam.gserviceaccount.com"
"""The account of Service Extensions in a project."""
_MAY = ("modelarmor.callouts.invoke", "serviceusage.services.use")
"""What Google's guide has granted to that account on the load balancer's project, beside the use of templates."""
_BEGINS = re.compile(r'request\.path\.startsWith\("([^"]*)"\)|request\.path == "([^"]*)"|(true)')
_BLOCKED = 403
"""What a client gets where the template names no code of its own."""


class CalloutFailed(Exception):
    """Model Armor did not answer, or refused: what follows is up to `failOpen`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockedText:
    """What a client gets in place of what was stopped."""

    status: int
    message: str

    @property
    def body(self) -> bytes:
        """Return it as JSON, in the shape that Google's guide shows."""
        kind = "bad_request_error"
        return json.dumps(
            {"error": {"type": kind, "message": self.message, "param": "", "code": kind}}
        ).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentCallout:
    """One extension that asks Model Armor."""

    name: str
    """Of the extension, or of the policy that asks it."""
    project: str
    host: str
    timeout: float
    fail_open: bool
    paths: tuple[tuple[str, bool], ...]
    """Which paths it is called for, each whole or as a beginning; ('', False) is every one."""
    settings: tuple[Mapping[str, Json], ...]
    prompts: bool
    answers: bool
    unacted: str = ""
    """What of it is not acted out; '' where all of it is."""

    def matches(self, path: str) -> bool:
        """Tell whether it is called for a path."""
        return any(path == text if whole else path.startswith(text) for text, whole in self.paths)

    def template(self, model: str, *, prompt: bool) -> str:
        """Return the template that is named for a model; '' for a model that no entry names."""
        of_traffic = "user_prompt_template_id" if prompt else "model_response_template_id"
        of_authz = "request_template_id" if prompt else "response_template_id"
        for entry in self.settings:
            if "model" not in entry:
                return str(entry.get(of_authz) or "")
            if entry["model"] == model:
                return str(entry.get(of_traffic) or "")
        return ""


class ContentCallouts:
    """The callouts of all load balancers of a cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def of(self, rule: StoredResource) -> tuple[ContentCallout, ...]:
        """Return those of a forwarding rule, in their order: authorization comes before traffic extensions."""
        users = callouts.attached(self._cloud, rule)
        policies = [user for user in users if user.collection == callouts.POLICIES]
        extensions = [user for user in users if user.collection == callouts.EXTENSIONS]
        return (*self._of_policies(policies), *self._of_extensions(extensions))

    async def judged_prompt(self, callout: ContentCallout, path: str, body: bytes) -> BlockedText | None:
        """Return what a client gets for a request that is stopped; None for one that goes on. Raises `CalloutFailed`."""
        text, model = prompt_of(path, body)
        template = callout.template(model, prompt=True)
        if not text or not template or not callout.prompts:
            return None
        return await self._judged(callout, template, "sanitizeUserPrompt", {"userPromptData": {"text": text}})

    async def judged_answer(
        self, callout: ContentCallout, path: str, model: str, answer: tuple[str, bytes]
    ) -> BlockedText | None:
        """Return what a client gets for an answer, by type and body, that is stopped; None for one that goes on. Raises `CalloutFailed`."""
        text, template = answer_of(path, *answer), callout.template(model, prompt=False)
        if not text or not template or not callout.answers:
            return None
        data = {"modelResponseData": {"text": text}}
        return await self._judged(callout, template, "sanitizeModelResponse", data)

    async def _judged(
        self, callout: ContentCallout, template: str, verb: str, body: Mapping[str, Any]  # Any: JSON
    ) -> BlockedText | None:  # fmt: skip
        project = self._cloud.project(callout.project)
        agent = AGENT.format(number=project.number if project else "0")
        place = f"projects/{callout.project}"
        held = self._cloud.access.held(Caller(agent), _MAY, "cloudresourcemanager", place, callout.project)
        if lacking := set(_MAY) - held:
            raise CalloutFailed(f"{agent} lacks {min(lacking)}")
        headers = {"authorization": f"Bearer {self._cloud.token(agent)}", "content-type": "application/json"}
        request = Request(
            verb="POST", host=callout.host, path=f"/v1/{template}:{verb}", headers=headers, body=json.dumps(body).encode()
        )  # fmt: skip
        try:
            async with asyncio.timeout(callout.timeout):
                reply = await self._cloud.handle(request)
        except (TimeoutError, Dropped) as error:
            raise CalloutFailed("Model Armor did not answer in time") from error
        if reply.status != 200:
            raise CalloutFailed(f"Model Armor said {reply.status}")
        result = json.loads(reply.body)["sanitizationResult"]
        if result["filterMatchState"] != "MATCH_FOUND":
            return None
        said = result.get("sanitizationMetadata") or {}
        return BlockedText(
            status=int(said.get("errorCode") or _BLOCKED),
            message=str(said.get("errorMessage") or "Malicious trial"),
        )

    def _of_policies(self, policies: list[StoredResource]) -> Iterator[ContentCallout]:
        for policy in policies:
            if policy.body.get("policyProfile") != "CONTENT_AUTHZ":
                yield _unacted(policy, "an authorization policy of requests")
                continue
            named = ((policy.body.get("customProvider") or {}).get("authzExtension") or {}).get(
                "resources"
            ) or [""]
            name = self._cloud.by_id(str(named[0]).removeprefix("//networkservices.googleapis.com/"))
            extension = self._cloud.store.get("networkservices", name)
            if extension is None or not callouts.MODEL_ARMOR.fullmatch(str(extension.body.get("service"))):
                yield _unacted(policy, "a content policy that asks something else than Model Armor")
            elif policy.body.get("httpRules"):
                yield _unacted(policy, "rules of a content policy")
            else:
                yield _callout(policy, extension.body, (("", False),), events=None)

    def _of_extensions(self, extensions: list[StoredResource]) -> Iterator[ContentCallout]:
        for kept in extensions:
            # The first chain that fits is the only one that is called, so that more of them are not simply all.
            chains = list(kept.body.get("extensionChains") or [])
            every = [extension for chain in chains for extension in chain.get("extensions") or ()]
            if len(every) != 1 or not callouts.MODEL_ARMOR.fullmatch(str(every[0].get("service"))):
                yield _unacted(
                    kept, "a traffic extension of several parts, or of something else than Model Armor"
                )
                continue
            paths = _paths(str(chains[0]["matchCondition"]["celExpression"]))
            if paths is None:
                yield _unacted(
                    kept, "the condition of a traffic extension, but for `true` and the beginnings of paths"
                )
                continue
            yield _callout(kept, every[0], paths, events=frozenset(every[0].get("supportedEvents") or ()))


def _callout(
    kept: StoredResource, body: Mapping[str, Json], paths: tuple[tuple[str, bool], ...], *, events: frozenset[str] | None
) -> ContentCallout:  # fmt: skip
    try:
        settings = read_json(str((body.get("metadata") or {}).get("model_armor_settings") or "[]"))
    except ValueError:
        settings = []
    return ContentCallout(
        name=kept.name,
        project=kept.project,
        host=str(body["service"]),
        timeout=callouts.timeout_s(body),
        fail_open=bool(body.get("failOpen")),
        paths=paths,
        settings=tuple(entry for entry in settings if isinstance(entry, dict))
        if isinstance(settings, list)
        else (),
        prompts=events is None or "REQUEST_BODY" in events,
        answers=events is None or "RESPONSE_BODY" in events,
    )


def _unacted(kept: StoredResource, what: str) -> ContentCallout:
    return ContentCallout(
        name=kept.name, project=kept.project, host="", timeout=0, fail_open=False, paths=(("", False),), settings=(), prompts=False,
        answers=False, unacted=f"the rehearsal does not act out {what} ({kept.name})",
    )  # fmt: skip


def _paths(expression: str) -> tuple[tuple[str, bool], ...] | None:
    """Return the paths that a condition is about; None for one that is not understood."""
    found: list[tuple[str, bool]] = []
    for part in expression.split("||"):
        match = _BEGINS.fullmatch(part.strip())
        if match is None:
            return None
        begin, whole = match[1], match[2]
        found.append((whole, True) if whole else (begin or "", False))
    return tuple(found)


__all__ = ["BlockedText", "CalloutFailed", "ContentCallout", "ContentCallouts", "is_known"]
