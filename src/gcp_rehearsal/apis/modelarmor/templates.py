"""Templates and floor settings of Model Armor, and what its filters find: fixed probes, not judgement."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping

from gcp_rehearsal import generic
from gcp_rehearsal.context import Call, Handler, Kind
from gcp_rehearsal.errors import invalid, unimplemented
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.state import StoredResource

_BASE = "modelarmor.projects.locations"
_ID = re.compile(r"[a-zA-Z0-9_-]{1,63}")
_CHARACTERS = 4
"""Of a token, roughly: Google does not say how it counts."""
_MOST_TOKENS = 65_536
_MOST_TOKENS_OF_DATA = 130_000
_FEWEST_WORDS = 3
_LEVELS = ("LOW_AND_ABOVE", "MEDIUM_AND_ABOVE", "HIGH")
_INJECTIONS = re.compile(
    r"ignore (?:all |any )?(?:the )?(?:previous|prior|above) instructions|disregard (?:all |your )?(?:previous|prior) "
    r"instructions|reveal your system prompt|you are now in developer mode",
    re.IGNORECASE,
)
_HARMS = {
    "dangerous": re.compile(r"how (?:do i|to) (?:build|make) a bomb", re.IGNORECASE),
    "harassment": re.compile(r"write an insult about my colleague", re.IGNORECASE),
    "hate_speech": re.compile(r"write hate speech about", re.IGNORECASE),
    "sexually_explicit": re.compile(r"write sexually explicit", re.IGNORECASE),
}
_URLS = re.compile(r"https?://testsafebrowsing\.appspot\.com/\S+")
"""Addresses that Google keeps for tests of Safe Browsing."""
_DATA = {
    "CREDIT_CARD_NUMBER": re.compile(r"(?<!\d)(?:\d[ -]?){12,18}\d(?!\d)"),
    "US_SOCIAL_SECURITY_NUMBER": re.compile(r"(?<!\d)(?!000|666|9\d\d)\d{3}-(?!00)\d\d-(?!0000)\d{4}(?!\d)"),
    "GCP_API_KEY": re.compile(r"AIza[0-9A-Za-z_-]{35}"),
}


def _prepare(call: Call, body: JsonObject, before: StoredResource | None) -> None:
    if before is None and not _ID.fullmatch(str(call.query.get("templateId") or "")):
        raise invalid(
            "Invalid template id: at most 63 letters, digits, hyphens and underscores.",
            ("template_id", "is invalid"),
        )
    if not isinstance(body.get("filterConfig"), dict):
        raise invalid("filter_config is required.", ("template.filter_config", "is required"))


def _prompt(call: Call) -> JsonObject:
    return _sanitized(call, call.body.get("userPromptData") or {})


def _answer(call: Call) -> JsonObject:
    return _sanitized(call, call.body.get("modelResponseData") or {})


def _sanitized(call: Call, data: Mapping[str, Json]) -> JsonObject:
    template = generic.existing(call).body
    config = template["filterConfig"]
    if (config.get("sdpSettings") or {}).get("advancedConfig"):
        raise unimplemented("templates of Sensitive Data Protection in Model Armor")
    text = _text(data)
    results: JsonObject = {"csam": {"csamFilterFilterResult": _ran(matched=False)}}
    for key, result in (("malicious_uris", _uris(config, text)), ("pi_and_jailbreak", _injection(config, text)),
                       ("rai", _harms(config, text)), ("sdp", _data(config, text))):  # fmt: skip
        if result is not None:
            results[key] = result
    inner = [next(iter(result.values())) for result in results.values()]
    inspected = [result.get("inspectResult", result) for result in inner]
    skipped = any(inspection["executionState"] == "EXECUTION_SKIPPED" for inspection in inspected)
    matched = any(inspection["matchState"] == "MATCH_FOUND" for inspection in inspected)
    meta = template.get("templateMetadata") or {}
    side = "customPromptSafetyError" if "userPromptData" in call.body else "customLlmResponseSafetyError"
    own = {"errorCode": str(meta[f"{side}Code"])} if matched and meta.get(f"{side}Code") else {}
    own |= {"errorMessage": meta[f"{side}Message"]} if matched and meta.get(f"{side}Message") else {}
    return {"sanitizationResult": {
        "filterMatchState": "MATCH_FOUND" if matched else "NO_MATCH_FOUND", "filterResults": results,
        "invocationResult": "PARTIAL" if skipped else "SUCCESS", "sanitizationMetadata": own,
    }}  # fmt: skip


def _text(data: Mapping[str, Json]) -> str:
    if data.get("text") is not None:
        return str(data["text"])
    item = data.get("byteItem") or {}
    if item.get("byteDataType") in {"PLAINTEXT_UTF8", "TXT", "CSV"}:
        return base64.b64decode(item.get("byteData") or "").decode(errors="replace")
    if item:
        raise unimplemented("files in Model Armor, except plain text")
    raise invalid("Either text or byte_item must be set.", ("data", "is empty"))


def _ran(*, matched: bool) -> JsonObject:
    return {
        "executionState": "EXECUTION_SUCCESS",
        "matchState": "MATCH_FOUND" if matched else "NO_MATCH_FOUND",
    }


def _skipped(why: str) -> JsonObject:
    items = [{"messageType": "WARNING", "message": why}]
    return {"executionState": "EXECUTION_SKIPPED", "matchState": "NO_MATCH_FOUND", "messageItems": items}


def _too_long(text: str, most: int) -> JsonObject | None:
    if len(text) <= most * _CHARACTERS:
        return None
    return _skipped(f"The input is longer than {most} tokens: the filter was not applied.")


def _uris(config: Mapping[str, Json], text: str) -> JsonObject | None:
    if (config.get("maliciousUriFilterSettings") or {}).get("filterEnforcement") != "ENABLED":
        return None
    matched_uris = [{"uri": match[0], "locations": [{"start": str(match.start()), "end": str(match.end())}]}
                    for match in _URLS.finditer(text)]  # fmt: skip
    result = _ran(matched=bool(matched_uris)) | (
        {"maliciousUriMatchedItems": matched_uris} if matched_uris else {}
    )
    return {"maliciousUriFilterResult": result}


def _injection(config: Mapping[str, Json], text: str) -> JsonObject | None:
    settings = config.get("piAndJailbreakFilterSettings") or {}
    if settings.get("filterEnforcement") != "ENABLED":
        return None
    result = _too_long(text, _MOST_TOKENS)
    if result is None and len(text.split()) < _FEWEST_WORDS:
        result = _ran(matched=False)
    if result is None:
        matched = _INJECTIONS.search(text) is not None
        result = _ran(matched=matched) | ({"confidenceLevel": "HIGH"} if matched else {})
    return {"piAndJailbreakFilterResult": result}


def _harms(config: Mapping[str, Json], text: str) -> JsonObject | None:
    filters = (config.get("raiSettings") or {}).get("raiFilters") or ()
    if not filters:
        return None
    long = _too_long(text, _MOST_TOKENS)
    if long is not None:
        return {"raiFilterResult": long}
    each: JsonObject = {}
    for setting in filters:
        name = str(setting.get("filterType") or "").lower()
        harmful = name in _HARMS and _HARMS[name].search(text) is not None
        each[name] = {"matchState": "MATCH_FOUND" if harmful else "NO_MATCH_FOUND",
                      **({"confidenceLevel": "HIGH"} if harmful else {})}  # fmt: skip
    matched = any(result["matchState"] == "MATCH_FOUND" for result in each.values())
    return {"raiFilterResult": _ran(matched=matched) | {"raiFilterTypeResults": each}}


def _data(config: Mapping[str, Json], text: str) -> JsonObject | None:
    basic = (config.get("sdpSettings") or {}).get("basicConfig") or {}
    if basic.get("filterEnforcement") != "ENABLED":
        return None
    long = _too_long(text, _MOST_TOKENS_OF_DATA)
    if long is not None:
        return {"sdpFilterResult": {"inspectResult": long}}
    findings = [
        {"infoType": kind, "likelihood": "VERY_LIKELY",
         "location": {"codepointRange": {"start": str(match.start()), "end": str(match.end())}}}
        for kind, pattern in _DATA.items()
        for match in pattern.finditer(text)
        if kind != "CREDIT_CARD_NUMBER" or _is_card(match[0])
    ]  # fmt: skip
    result = _ran(matched=bool(findings)) | ({"findings": findings} if findings else {})
    return {"sdpFilterResult": {"inspectResult": result}}


def _is_card(text: str) -> bool:
    """Return True if the digits' checksum is right, as Luhn's is."""
    digits = [int(digit) for digit in text if digit.isdigit()][::-1]
    return sum(digits[0::2]) % 10 == -sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2]) % 10


def _floor(change: Callable[[Call, StoredResource], None] | None) -> Handler:
    def act(call: Call) -> Json:
        settings = call.cloud.store.get("modelarmor", call.name)
        if settings is None:
            settings = call.cloud.keep(
                call, call.name, "modelarmor.floorSettings", {"name": call.name, "filterConfig": {}}
            )
        if change is not None:
            change(call, settings)
        return settings.body

    return act


def _change_floor(call: Call, settings: StoredResource) -> None:
    settings.body = generic.patched(call, settings, generic.writable(call), whole=False)
    settings.body.setdefault("createTime", call.cloud.clock.text())
    settings.body.update(name=settings.name, updateTime=call.cloud.clock.text())


def _of_others(call: Call) -> Json:
    raise unimplemented(f"{call.method.id}: floor settings of anything but projects")


KINDS: Mapping[str, Kind] = {f"{_BASE}.templates": Kind(prepare=_prepare)}
HANDLERS: Mapping[str, Handler] = {
    f"{_BASE}.getFloorSetting": _floor(None),
    f"{_BASE}.updateFloorSetting": _floor(_change_floor),
    f"{_BASE}.templates.sanitizeUserPrompt": _prompt,
    f"{_BASE}.templates.sanitizeModelResponse": _answer,
    **{f"modelarmor.{holder}.locations.{action}": _of_others
       for holder in ("folders", "organizations") for action in ("getFloorSetting", "updateFloorSetting")},
}  # fmt: skip
