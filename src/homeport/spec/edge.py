"""The load balancer of the file or its API gateway, and what of one is not built yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from homeport import patterns
from homeport.spec.table import SpecTable

MOST_REGIONS = 4
"""Further regions of one endpoint: each has services, buckets and images of its own."""

MOST_SHARED = 99
"""Percent of the requests that other endpoints answer at most."""
KEY_BYTES = 128
"""Cloud Armor tells keys apart by so many bytes of a header's value."""
_IAP_IS_OF_ACCESS = (
    "iap is a key of [access]: set `[access] iap = [...]`; it guards the way through this load balancer, too"
)
_OWN_PATHS = frozenset((
    "api", "apply-template", "completion", "completions", "detokenize", "docs", "embedding", "embeddings", "health", "infill",
    "invocations", "load", "metrics", "models", "ping", "pooling", "props", "redoc", "rerank", "score", "server_info", "slots",
    "tokenize", "v1", "v2", "version",
))  # fmt: skip
"""Beginnings of paths that an engine has: another endpoint there would take what is this one's."""
_OF_BALANCERS = (
    "domain",
    "ip",
    "certificate",
    "private_key",
    "key_header",
    "preview",
    "backends",
    "shares",
    "regions",
)
"""What an API gateway does not have."""
_NOT_TOLD_APART_BY = frozenset(
    (
        "connection",
        "cookie",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "origin",
        "range",
        "referer",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "via",
        "x-real-ip",
    )
)
_BEGINNINGS_OF_OTHERS = (
    "accept",
    "access-control-",
    "content-",
    "if-",
    "x-client-",
    "x-envoy-",
    "x-homeport-",
    "x-goog-",
    "x-google-",
    "x-forwarded-",
    "x-cloud-trace-",
    "x-serverless-",
    "sec-",
    "proxy-",
)
"""Headers whose values Google, homeport, HTTP or a library says of each request, and no client chooses to be led elsewhere."""
_SHARED_BEGINNINGS = ("authorization", "x-serverless-authorization", "proxy-authorization")


class Edge(SpecTable):
    """A load balancer before the endpoint on Cloud Run, under a domain of yours: the service's own address is closed then. Or an API gateway, with keys for clients."""

    kind: Literal["global", "regional", "internal", "api-gateway"] = "global"
    """Google's Application Load Balancer: external, global or in the service's region alone, or internal to the network of `[cloudrun]`; or API Gateway, which takes keys."""
    domain: str | None = Field(
        default=None, max_length=253, pattern=patterns.DOMAIN, examples=["llm.example.com"]
    )
    """The name that clients use. Its DNS is yours: the plan says which records it wants."""
    ip: str = Field(default="", pattern=patterns.IPV4_OR_NONE)
    """In place of a domain: an address that you have reserved in the project, such as 203.0.113.7, and that your own certificate names. Clients must be told to trust that."""
    certificate: str | None = Field(
        default=None, pattern=patterns.REFERENCE, examples=["file:llm.example.com.pem"]
    )
    """Your own certificate with its chain, as PEM: file:PATH, or env:NAME. Unset Google makes one, once a DNS record of yours proves the domain."""
    private_key: str | None = Field(
        default=None, pattern=patterns.REFERENCE, examples=["file:llm.example.com.key"]
    )
    """Where the key of your own certificate is: file:PATH, or env:NAME, as PEM without a passphrase."""
    requests_per_minute: int | None = Field(default=None, ge=1, le=1_000_000, examples=[60])
    """What one key may ask in a minute, by Cloud Armor; more is answered with 429. Requests are counted, not tokens. An API gateway counts all keys of a project together."""
    key_header: str = Field(default="x-api-key", pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,62}$")
    """The header that says whose request it is, for that limit. All requests without it count together."""
    preview: bool = False
    """Whether the limit only writes into the load balancer's log what it would refuse."""
    backends: dict[
        Annotated[str, Field(pattern=patterns.BACKEND_WAY)], Annotated[str, Field(pattern=patterns.NAME)]
    ] = Field(default={}, max_length=20, examples=[{"/small": "small", "x-tier: large": "big"}])
    """Other endpoints of the project behind this address, by the first part of the path, which they do not see, or by a header and its whole value. Each has a file of its own."""
    shares: dict[Annotated[str, Field(pattern=patterns.NAME)], Annotated[int, Field(ge=1, le=99)]] = Field(
        default={}, max_length=5, examples=[{"next": 10}]
    )
    """Other endpoints that serve a model of the same name, and the percent of the requests at this address that each answers instead of this one."""

    clients: list[Annotated[str, Field(pattern=patterns.NAME)]] = Field(
        default=[], max_length=50, examples=[["alice", "bob"]]
    )
    """Who has a key of an API gateway: `homeport env --as NAME` prints it. Whoever is no more in the list has none."""
    gateway_region: str = Field(default="auto", pattern=patterns.REGION_OR_AUTO)
    """Where the API gateway is; auto is the service's region, and not all of these have API Gateway."""
    regions: list[Annotated[str, Field(pattern=patterns.REGION)]] = Field(
        default=[], max_length=MOST_REGIONS, examples=[["us-central1"]]
    )
    """Further regions that serve this endpoint behind the address, one after another, beside that of `[cloudrun]`: for a global one."""

    @model_validator(mode="before")
    @classmethod
    def _has_no_iap(cls, value: Any) -> Any:  # Any: what stands in the file
        if isinstance(value, Mapping) and "iap" in value:
            raise ValueError(_IAP_IS_OF_ACCESS)
        return value

    @model_validator(mode="after")
    def _is_whole(self) -> Edge:
        if self.is_api_gateway:
            self._refuse_keys_of_others()
            return self
        for key, value in (("clients", self.clients), ("gateway_region", self.gateway_region != "auto")):
            if value:
                raise ValueError(f'{key} is about an API gateway: set kind = "api-gateway", or remove it')
        if not (self.domain or self.ip):
            raise ValueError(
                'a load balancer needs a domain of yours, as in domain = "llm.example.com", or an address that you have reserved with a '
                "certificate of your own for it: ip, certificate and private_key. Without either leave [edge] "
                "out: the service's own address has TLS and asks for a token, too, and costs nothing"
            )
        if self.domain and self.ip:
            raise ValueError("domain and ip are two names for one address: remove one of the two")
        if self.ip and not self.certificate:
            raise ValueError(
                "ip needs a certificate of your own that names it, since Google makes none for an address: set certificate and private_key. "
                "`openssl req -x509` makes both; docs/edge.md has the whole command"
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
        self._ensure_told_apart()
        if self.preview and self.requests_per_minute is None:
            raise ValueError(
                "preview is about requests_per_minute, which is not set: set it, or remove preview"
            )
        return self

    @model_validator(mode="after")
    def _has_regions_of_a_global_one(self) -> Edge:
        if self.regions and self.kind != "global" and not self.is_api_gateway:
            raise ValueError(
                f'regions are for kind = "global": a {self.kind} load balancer leads to services of its own region alone. Set that kind, '
                "or remove regions"
            )
        if len(set(self.regions)) < len(self.regions):
            raise ValueError(f"regions names one twice: {', '.join(self.regions)}; name each once")
        return self

    def _ensure_told_apart(self) -> None:
        """Raise `ValueError` where a way to another endpoint would take what is this one's, or what no client says."""
        if clashes := sorted(path for path in self.backends if path[1:] in _OWN_PATHS):
            raise ValueError(
                f"backends gives {clashes[0]} to another endpoint, where the engine of this one answers; take another path, "
                f'such as "/{self.backends[clashes[0]]}"'
            )
        headers = [split_way(way)[1:] for way in self.backends if not way.startswith("/")]
        known = {*_NOT_TOLD_APART_BY, *_SHARED_BEGINNINGS, self.key_header.lower()}
        for header, _ in headers:
            if header in known or header.startswith(_BEGINNINGS_OF_OTHERS):
                raise ValueError(
                    f"backends tells endpoints apart by the header {header}, which is not there for that: take one that only your clients "
                    'say, as in "x-tier: large"'
                )
        if len(set(headers)) < len(headers):
            raise ValueError("backends names a header with one value twice: case makes no other header")
        if sum(self.shares.values()) > MOST_SHARED:
            raise ValueError(
                f"shares gives {sum(self.shares.values())} percent to others, and {MOST_SHARED} at most leaves something to this endpoint: "
                "lower them"
            )
        if self.shares and self.regions:
            raise ValueError("shares and regions are not built together: remove one of the two")

    def _refuse_keys_of_others(self) -> None:
        """Raise `ValueError` for what an API gateway does not have, and for one that nobody has a key of."""
        for key in _OF_BALANCERS:
            if getattr(self, key) != type(self).model_fields[key].get_default(call_default_factory=True):
                raise ValueError(
                    f'{key} is about a load balancer: set kind = "global" for one, or remove {key}, since an API gateway has an address of '
                    "Google's, and takes keys in a header of its own"
                )
        if not self.clients:
            raise ValueError('an API gateway needs somebody with a key: name them, as in clients = ["alice"]')
        if len(set(self.clients)) != len(self.clients):
            raise ValueError("clients names somebody twice: each has one key")

    @property
    def ways(self) -> dict[str, str]:
        """Return what else the address leads to: endpoints by path or header, and by their names the percent that each answers."""
        return {**self.backends, **{name: f"{percent}%" for name, percent in self.shares.items()}}

    @property
    def is_api_gateway(self) -> bool:
        """Tell whether it is API Gateway, and no load balancer."""
        return self.kind == "api-gateway"

    @property
    def host(self) -> str:
        """Return the domain of a load balancer, or its address without a domain; '' for an API gateway, which has a name of Google's."""
        return self.domain or self.ip

    @property
    def address(self) -> str:
        """Return the address of a load balancer that clients use, without `/v1`. An API gateway's is known when it is made."""
        return f"https://{self.host}"


def split_way(way: str) -> tuple[str, str, str]:
    """Return the path of a key of `backends`, or its header in lower case and the value; '' for what it has not."""
    if way.startswith("/"):
        return way, "", ""
    header, _, value = way.partition(": ")
    return "", header.lower(), value


__all__ = ["KEY_BYTES", "Edge", "split_way"]
