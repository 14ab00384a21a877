"""Answers of an address at which Identity-Aware Proxy may stand, by which homeport and its exported script are both judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

GENERATED = {"x-goog-iap-generated-response": "true"}
LOGIN = {"location": "https://accounts.google.com/o/oauth2/v2/auth?client_id=1"}


class MaybeOfIap(NamedTuple):
    """One answer: whether the proxy gave it, and whether by it the way to what stands behind the proxy is there."""

    status: int
    headers: Mapping[str, str]
    is_of_iap: bool
    to_nobody: bool = False
    """To a request that shows nothing: the proxy answers none with what stands behind it."""
    to_a_jwt: bool = False
    """To one that shows a JWT: the proxy does not ask such a request to log in."""


ANSWERS = [
    MaybeOfIap(200, {}, False, to_a_jwt=True),
    MaybeOfIap(200, GENERATED, True),
    MaybeOfIap(302, LOGIN, True, to_nobody=True),
    MaybeOfIap(302, {**LOGIN, **GENERATED}, True, to_nobody=True),
    MaybeOfIap(303, LOGIN, True, to_nobody=True),
    MaybeOfIap(303, GENERATED, True, to_nobody=True),
    MaybeOfIap(307, LOGIN, True, to_nobody=True),
    MaybeOfIap(302, {"location": "https://login.example.com/?to=accounts.google.com"}, False),
    MaybeOfIap(302, {"location": "https://accounts.google.com.example.com/"}, False),
    MaybeOfIap(302, {}, False),
    MaybeOfIap(401, GENERATED, True, to_nobody=True),
    MaybeOfIap(401, {}, False),
    MaybeOfIap(403, GENERATED, True, to_nobody=True, to_a_jwt=True),
    MaybeOfIap(403, {}, False),
    MaybeOfIap(404, {}, False),
    MaybeOfIap(502, GENERATED, True),
]
