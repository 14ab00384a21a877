"""
What passed, counted for Prometheus, under the names of OpenTelemetry's semantic conventions for generative AI.

They are the conventions' instruments as Prometheus spells them: dots are underscores, units are words.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from homeport.extras import missing
from homeport.gateway.callers import CallerCounts
from homeport.gateway.usage import TokenUsage
from homeport.relay.messages import Headers, Receive, Scope, Send

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

App = Callable[[Scope, Receive, Send], Awaitable[None]]
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""The conventions' own buckets of durations."""
FIRST_BOUNDS = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""The conventions' own buckets of the time to the first token."""
_TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304)
_LABELS = ("gen_ai_operation_name", "gen_ai_request_model")


class GatewayMetrics:
    """Counts in a registry of its own."""

    def __init__(self, model: str, *, callers: bool = False) -> None:
        """Count for one model, by caller, too, where `callers` says so. Raises `ExtraMissing` where prometheus-client is not installed."""
        try:
            from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
        except ImportError as error:
            raise missing("the gateway needs prometheus-client", "gateway") from error
        self._model, self._registry = model, CollectorRegistry()
        self._callers = _registered(self._registry) if callers else None

        def histogram(name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
            return Histogram(name, text, (*_LABELS, *labels), registry=self._registry, buckets=buckets)

        self._duration = histogram(
            "gen_ai_server_request_duration_seconds",
            "From a request to the end of its answer.",
            _SECONDS,
            "error_type",
        )
        self._first = histogram(
            "gen_ai_server_time_to_first_token_seconds",
            "From a request to the first text of its answer, where that is a stream.",
            FIRST_BOUNDS,
        )
        self._tokens = histogram(
            "gen_ai_client_token_usage", "Tokens of requests and answers, as the engine counts them.", _TOKENS,
            "gen_ai_token_type",
        )  # fmt: skip
        self._refused = Counter(
            "homeport_gateway_refusals",
            "Texts that were not let through.",
            ("side", "reason"),
            registry=self._registry,
        )
        self._screened = Histogram(
            "homeport_gateway_screen_seconds", "Time that the screen took.", ("side",), registry=self._registry,
            buckets=FIRST_BOUNDS,
        )  # fmt: skip
        self._pieces = Counter(
            "homeport_gateway_answer_pieces",
            "Pieces with text of answers that come in pieces: they go on while tokens are counted at an answer's end.",
            registry=self._registry,
        )
        self._active = Gauge(
            "homeport_gateway_active_requests", "Requests under way.", registry=self._registry
        )
        # There from the beginning: what has no series is not known, and what nobody has asked yet is 0.
        self._duration.labels("chat", model, "")
        self._first.labels("chat", model)
        for kind in ("input", "output"):
            self._tokens.labels("chat", model, kind)

    @property
    def tells_callers(self) -> bool:
        """Tell whether requests are counted by caller, too."""
        return self._callers is not None

    def passed(self, error: str, usage: TokenUsage, headers: Headers) -> None:
        """Count the end of a request by its caller alone, for an API of which nothing else is counted."""
        if self._callers is not None:
            self._callers.ended(headers, error, usage)

    def begun(self) -> None:
        """Count a request."""
        self._active.inc()

    def ended(
        self, operation: str, seconds: float, error: str, usage: TokenUsage, headers: Headers = ()
    ) -> None:
        """Count the end of a request that came with `headers`; `error` is '' for one that was answered."""
        self._active.dec()
        self.passed(error, usage, headers)
        self._duration.labels(operation, self._model, error).observe(seconds)
        for kind, count in (("input", usage.prompt), ("output", usage.answer)):
            if count is not None:
                self._tokens.labels(operation, self._model, kind).observe(count)

    def first_text(self, operation: str, seconds: float) -> None:
        """Count the time to the first text of a stream."""
        self._first.labels(operation, self._model).observe(seconds)

    def went_on(self) -> None:
        """Count a piece of an answer."""
        self._pieces.inc()

    def refused(self, side: str, reason: str) -> None:
        """Count a refusal."""
        self._refused.labels(side, reason).inc()

    def screened(self, side: str, seconds: float) -> None:
        """Count a screening."""
        self._screened.labels(side).observe(seconds)

    def text(self) -> bytes:
        """Return all counts as Prometheus reads them."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry)


def _registered(registry: CollectorRegistry) -> CallerCounts:
    counts = CallerCounts()
    registry.register(counts)
    return counts


def without_metrics(app: App) -> App:
    """Return an application in front of which `/metrics` is 404, as what is told elsewhere is not told here."""

    async def front(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].strip("/") == "metrics":
            body = (
                b'{"error": {"message": "no metrics are told here", "type": "not_found_error", "code": null}}'
            )
            headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 404, "headers": headers})
            await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
            return
        await app(scope, receive, send)

    return front


class MetricsApp:
    """`/metrics`, as an application of ASGI of its own."""

    def __init__(self, metrics: GatewayMetrics) -> None:
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request of Prometheus'."""
        if scope["type"] != "http":
            return
        known = scope["path"] == "/metrics" and scope["method"] in {"GET", "HEAD"}
        body = self._metrics.text() if known else b"ask for /metrics"
        headers = [(b"content-type", CONTENT_TYPE.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200 if known else 404, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
