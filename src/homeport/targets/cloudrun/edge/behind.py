"""What else the load balancer of a service leads to, in words."""

from __future__ import annotations

from homeport.resources.google.traffic import Body, address_of, behind_of


def behind_in_words(service: Body) -> dict[str, str]:
    """Return where each other endpoint answers, or what it answers, by the key of `edge.backends` or `edge.shares`."""
    at = address_of(service)
    return {way: _in_words(at, way, other) for way, other in behind_of(service).items()}


def _in_words(at: str, way: str, other: str) -> str:
    if way.startswith("/"):
        return f"{at}{way}/v1, which is {other}"
    if ":" in way:
        return f"{at}/v1 with the header {way}, which is {other}"
    return f"{other} of the requests at {at}/v1, which {way} answers"


__all__ = ["behind_in_words"]
