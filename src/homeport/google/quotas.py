"""What Google says when a project may not have more."""

from __future__ import annotations

import re

from homeport.google.refusal import Refusal

_ALLOCATION = re.compile(
    r"Quota violated|do not have quota|allowable count of GPUs|QUOTA_EXCEEDED|quotaExceeded|Quota '[\w-]+' exceeded"
    r"|Max instances must be set to|due to quota restrictions"
)
_PER_TIME = re.compile(
    r"per (?:minute|second|hour)|rateLimitExceeded|RATE_LIMIT_EXCEEDED|CONCURRENT_OPERATIONS", re.IGNORECASE
)
_VIOLATED = re.compile(r"(?P<name>\w+) requested: (?P<asked>\d+) allowed: (?P<allowed>\d+)")
_LIMIT = re.compile(
    r"Quota '(?P<name>[\w-]+)' exceeded\.\s+Limit: (?P<allowed>[\d.]+)(?: (?P<where>in region \S+|globally))?"
)
_GIB = 2**30


def is_quota(refusal: Refusal) -> bool:
    """Return True if it is a quota: of things, or of requests over time."""
    if refusal.code == 429 or refusal.status == "RESOURCE_EXHAUSTED":
        return True
    return is_allocation(refusal) or (refusal.code == 403 and is_rate(refusal))


def is_allocation(refusal: Refusal) -> bool:
    """Return True if it is a quota of things, which no waiting helps."""
    return bool(_ALLOCATION.search(refusal.searchable)) and not is_rate(refusal)


def is_rate(refusal: Refusal) -> bool:
    """Return True if it is a quota over time, which waiting helps."""
    return bool(_PER_TIME.search(refusal.searchable))


def violated(text: str) -> str:
    """Return the quotas in Google's text with what was asked and what is allowed, in units people use; '' where none is."""
    violations = [_request_text(*violation.groups()) for violation in _VIOLATED.finditer(text)]
    violations += [
        f"{limit['name']}: {limit['allowed']} allowed{' ' + limit['where'] if limit['where'] else ''}"
        for limit in _LIMIT.finditer(text)
    ]
    return f"the quota does not allow this: {'; '.join(dict.fromkeys(violations))}" if violations else ""


def hint_of(refusal: Refusal, project: str) -> str:
    """Return where to ask for more."""
    text = refusal.searchable
    if is_rate(refusal):
        return "too many requests for the moment: try again in a minute"
    if "gpu" in text.lower():
        return (
            "ask for more at https://g.co/cloudrun/gpu-quota, ask for fewer instances, or try another region"
        )
    if "cannot run builds" in text:
        return (
            "this project may not build on that machine, or not in that region: set cloudrun.build_machine or "
            "cloudrun.build_region, or ask Google's support for it"
        )
    page = f"https://console.cloud.google.com/iam-admin/quotas?project={project}" if project else ""
    return f"ask for fewer instances or another region, or for more quota{f' at {page}' if page else ''}"


def request_command(*, project: str, region: str, quota: str, value: int, why: str, email: str = "") -> str:
    """Return the exact command that asks Google for so much of a quota of Cloud Run's."""
    command = (
        f"gcloud beta quotas preferences create --project={project} --service=run.googleapis.com "
        f"--quota-id={quota} --preferred-value={value} --dimensions=region={region} "
        f"--email={email or 'YOUR_E-MAIL'} --justification='{why}'"
    )
    return f"{command} (or https://g.co/cloudrun/gpu-quota)" if "Gpu" in quota else command


def _request_text(name: str, requested: str, allowed: str) -> str:
    """Describe what was asked and allowed. CPUs, and some GPUs, come in thousandths; memory in bytes."""
    scale, unit = 1, ""
    if name.startswith("Mem"):
        scale, unit = _GIB, " GiB"
    elif name.startswith("Cpu"):
        scale, unit = 1000, " CPU"
    elif "Gpu" in name:
        scale, unit = (1000 if int(requested) >= 1000 else 1), " GPU"
    return f"{name}: {int(requested) / scale:g}{unit} asked, {int(allowed) / scale:g}{unit} allowed"
