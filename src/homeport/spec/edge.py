"""The load balancer of the file, and what of one is not built yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from homeport import patterns
from homeport.spec.table import SpecTable

KEY_BYTES = 128
"""Cloud Armor tells keys apart by so many bytes of a header's value."""
_UNBUILT_KINDS = {
    "api-gateway": "API Gateway's streaming is a preview that nobody has checked for this",
}
_UNBUILT_KEYS = {
    "regions": "one endpoint in several regions",
    "iap": "Identity-Aware Proxy",
}
_OWN_PATHS = frozenset((
    "api", "apply-template", "completion", "completions", "detokenize", "docs", "embedding", "embeddings", "health", "infill",
    "invocations", "load", "metrics", "models", "ping", "pooling", "props", "redoc", "rerank", "score", "server_info", "slots",
    "tokenize", "v1", "v2", "version",
))  # fmt: skip
"""Beginnings of paths that an engine has: another endpoint there would take what is this one's."""
_SHARED_BEGINNINGS = ("authorization", "x-serverless-authorization", "proxy-authorization")


class Edge(SpecTable):
    """A load balancer before the endpoint on Cloud Run, under a domain of yours. The service's own address is closed then."""

    kind: Literal["global", "regional", "internal"] = "global"
    """Google's Application Load Balancer: external, global or in the service's region alone, or internal to the network of `[cloudrun]`."""
    domain: str | None = Field(
        default=None, max_length=253, pattern=patterns.DOMAIN, examples=["llm.example.com"]
    )
    """The name that clients use. Its DNS is yours: the plan says which records it wants."""
    certificate: str | None = Field(
        default=None, pattern=patterns.REFERENCE, examples=["file:llm.example.com.pem"]
    )
    """Your own certificate with its chain, as PEM: file:PATH, or env:NAME. Unset Google makes one, once a DNS record of yours proves the domain."""
    private_key: str | None = Field(
        default=None, pattern=patterns.REFERENCE, examples=["file:llm.example.com.key"]
    )
    """Where the key of your own certificate is: file:PATH, or env:NAME, as PEM without a passphrase."""
    requests_per_minute: int | None = Field(default=None, ge=1, le=1_000_000, examples=[60])
    """What one key may ask in a minute, by Cloud Armor; more is answered with 429. Requests are counted, not tokens."""
    key_header: str = Field(default="x-api-key", pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,62}$")
    """The header that says whose request it is, for that limit. All requests without it count together."""
    preview: bool = False
    """Whether the limit only writes into the load balancer's log what it would refuse."""
    backends: dict[
        Annotated[str, Field(pattern=patterns.FIRST_PATH)], Annotated[str, Field(pattern=patterns.NAME)]
    ] = Field(default={}, max_length=20, examples=[{"/small": "small"}])
    """Other endpoints of the project behind this address, by the first part of the path, which they do not see. Each has a file of its own."""

    @model_validator(mode="before")
    @classmethod
    def _is_built(cls, value: Any) -> Any:  # Any: what stands in the file
        if not isinstance(value, Mapping):
            return value
        why = _UNBUILT_KINDS.get(str(value.get("kind", "")))
        if why is not None:
            raise ValueError(
                f'kind = "{value["kind"]}" is not built yet: {why}. Set kind = "global", "regional" or "internal", or leave [edge] out: the '
                "service's own address has TLS and asks for a token, too"
            )
        for key, reason in _UNBUILT_KEYS.items():
            if key in value:
                raise ValueError(f"{key} is not built yet: {reason}. Remove it")
        return value

    @model_validator(mode="after")
    def _is_whole(self) -> Edge:
        if not self.domain:
            raise ValueError(
                'a load balancer needs a domain of yours, as in domain = "llm.example.com". Without one leave [edge] '
                "out: the service's own address has TLS and asks for a token, too, and costs nothing"
            )
        if (self.certificate is None) is not (self.private_key is None):
            raise ValueError(
                "certificate and private_key go together: name a file for both, or leave both out for Google's"
            )
        if self.key_header.lower() in _SHARED_BEGINNINGS:
            raise ValueError(
                f"key_header = {self.key_header!r} would count all callers as one: Cloud Armor looks at the first "
                f"{KEY_BYTES} bytes of a value, and Google's tokens begin alike. Give each client a short key of its own, "
                'as in key_header = "x-api-key"'
            )
        if clashes := sorted(path for path in self.backends if path[1:] in _OWN_PATHS):
            raise ValueError(
                f"backends gives {clashes[0]} to another endpoint, where the engine of this one answers; take another path, "
                f'such as "/{self.backends[clashes[0]]}"'
            )
        if self.preview and self.requests_per_minute is None:
            raise ValueError(
                "preview is about requests_per_minute, which is not set: set it, or remove preview"
            )
        return self

    @property
    def address(self) -> str:
        """Return the address that clients use, without `/v1`."""
        return f"https://{self.domain}"


__all__ = ["KEY_BYTES", "Edge"]
