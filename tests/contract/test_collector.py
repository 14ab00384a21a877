"""A real collector of OpenTelemetry's takes the spans of real endpoints: llama.cpp behind the gateway, and vLLM's own."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from collectors import ReceivedSpan, collecting
from places import TAUGHT, TAUGHT_FOLDER
from processes_of import spec
from user import User

TRACE, ABOVE = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SENT = {"traceparent": f"00-{TRACE}-{ABOVE}-01"}
QUESTION = "What is the capital of France?"


def asked(user: User) -> None:
    lines = user.run("env").out.splitlines()
    env = dict(line.removeprefix("export ").split("=", 1) for line in lines if "=" in line)
    env = {name: value.strip("'\"") for name, value in env.items()}
    shown = {"authorization": f"Bearer {env['OPENAI_API_KEY']}", **SENT}
    body = {
        "model": env["OPENAI_MODEL"],
        "max_tokens": 8,
        "temperature": 0,
        "messages": [{"role": "user", "content": QUESTION}],
    }
    with httpx2.Client(
        base_url=env["OPENAI_BASE_URL"], headers=shown, trust_env=False, timeout=120
    ) as client:
        assert client.post("/chat/completions", json=body).status_code == 200


def of_trace(spans: list[ReceivedSpan]) -> list[ReceivedSpan]:
    return [one for one in spans if one.fields.get("Trace ID") == TRACE]


@pytest.mark.observe
def test_a_request_through_the_gateway_before_llamacpp_is_a_span_at_the_collector(
    user: User, tmp_path: Path
) -> None:
    with collecting(tmp_path) as collector:
        more = f'[engine]\ncontext = 512\n[guard]\n[observe]\ntraces = true\notlp = "{collector.address}"\n'
        user.write(spec(f"file:{TAUGHT}", more=more))
        user.run("up", "--yes")
        before = len(collector.until(1))
        assert before, "those of verification"
        asked(user)
        while not (found := of_trace(collector.until(before + 1))):
            before += 1
        (span,) = found
        user.run("down", "--yes")
        told = collector.told.read_text()
    assert (span.fields["Parent ID"], span.fields["Kind"]) == (ABOVE, "SPAN_KIND_SERVER")
    assert span.attributes["gen_ai.operation.name"] == "chat"
    assert span.attributes["gen_ai.request.max_tokens"] == "8"
    assert int(span.attributes["gen_ai.usage.input_tokens"]) > 0
    assert int(span.attributes["gen_ai.usage.output_tokens"]) > 0
    assert span.resource["service.name"] == "homeport-home"
    assert "capital" not in told


@pytest.mark.vllm
@pytest.mark.usefixtures("vllm_on_path")
@pytest.mark.parametrize("guarded", [False, True])
def test_real_vllm_sends_its_spans_below_the_clients_or_the_gateways(
    user: User, tmp_path: Path, guarded: bool
) -> None:
    with collecting(tmp_path) as collector:
        more = '[engine]\nkind = "vllm"\ncontext = 512\nparallel = 2\n[observe]\ntraces = true\n'
        user.write(spec(f"file:{TAUGHT_FOLDER}", more=more + ("[guard]\n" if guarded else "")))
        user.run("up", "--yes", timeout=900, OTEL_EXPORTER_OTLP_ENDPOINT=collector.address)
        asked(user)
        wanted, before = 2 if guarded else 1, 1
        while len(found := of_trace(collector.until(before))) < wanted:
            before = len(collector.spans()) + 1
        user.run("down", "--yes")
    by_kind = {one.attributes.get("gen_ai.operation.name", "engine"): one for one in found}
    engine = by_kind["engine"]
    assert int(engine.attributes["gen_ai.usage.prompt_tokens"]) > 0
    assert float(engine.attributes["gen_ai.latency.time_to_first_token"]) > 0
    above = by_kind["chat"].fields["ID"] if guarded else ABOVE
    assert engine.fields["Parent ID"] == above
