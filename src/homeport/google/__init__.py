"""
The only door to Google: credentials, requests, retries, long-running operations, errors, policies.

    from homeport import google

    async with await google.from_env(os.environ) as door:
        async for secret in door.pages("secretmanager", f"v1/projects/{door.project}/secrets", "secrets"):
            ...

Paths are Google's own, bodies and answers plain JSON. Nothing heavy is imported until it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from homeport.google.client import Google, Settings, from_env, project_of
    from homeport.google.credentials import Credentials, find
    from homeport.google.errors import AFTER_RETRY, ANSWER_LOST
    from homeport.google.policy import Binding, IamResource, grant, revoke
    from homeport.google.validation import Malformed, Validator

__all__ = [
    "AFTER_RETRY",
    "ANSWER_LOST",
    "Binding",
    "Credentials",
    "Google",
    "IamResource",
    "Malformed",
    "Settings",
    "Validator",
    "find",
    "from_env",
    "grant",
    "project_of",
    "revoke",
]

_HOMES = {
    "AFTER_RETRY": "errors",
    "ANSWER_LOST": "errors",
    "Binding": "policy",
    "Credentials": "credentials",
    "Google": "client",
    "IamResource": "policy",
    "Malformed": "validation",
    "Settings": "client",
    "Validator": "validation",
    "find": "credentials",
    "from_env": "client",
    "project_of": "client",
    "grant": "policy",
    "revoke": "policy",
}


def __getattr__(name: str) -> Any:  # Any: whatever the name stands for; loaded when it is first used
    from importlib import import_module

    if name in _HOMES:
        return getattr(import_module(f"homeport.google.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'homeport.google' has no attribute {name!r}")
