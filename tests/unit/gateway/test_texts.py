"""What of a body counts as text: everything that is not one of the words that an API knows in this place."""

from __future__ import annotations

from typing import Any

import pytest

from gateways import ATTACK, CARD
from homeport.gateway.plain import plain
from homeport.gateway.texts import TextKind, of_answer, of_request
from homeport.gateway.verdict import Reason, Refused

KEY = "AKIA" + "ABCDEFGHIJKLMNOP"
HELLO = {"role": "user", "content": "Hello."}


def tool(parameters: dict[str, Any]) -> dict[str, Any]:
    return {
        "messages": [HELLO],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": parameters}}],
    }


def result(content: Any) -> dict[str, Any]:
    return {"messages": [HELLO, {"role": "tool", "tool_call_id": "1", "content": content}]}


@pytest.mark.parametrize(
    ("body", "hidden"),
    [
        ({"messages": [{"role": CARD, "content": "Hello."}]}, CARD),
        (tool({"type": "object", "properties": {"x": {"detail": KEY}}}), KEY),
        (tool({"type": "object", "properties": {KEY: {}}}), KEY),
        (tool({"type": "object", "properties": {CARD: {}}}), CARD),
        (tool({"type": "object", "status": ATTACK}), ATTACK),
        (result({"status": CARD}), CARD),
        (result({"id": 4111111111111111}), "4111111111111111"),
        (result({"card": [4111, 1111, 1111, 1111]}), CARD),
        ({"messages": [HELLO], KEY: 1}, KEY),
        ({"messages": [HELLO], "model": ATTACK}, ATTACK),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": CARD[:10]}, {"type": "text", "text": CARD[10:]}]}]}, CARD),
    ],
    ids=["role", "schema", "key of a schema", "digits as a key", "word of an API in a schema", "status of a result", "id of a result",
         "card as four numbers", "unknown field", "model", "parts"],
)  # fmt: skip
def test_a_text_is_found_wherever_a_request_hides_it(body: dict[str, Any], hidden: str) -> None:
    assert hidden in [one.text for one in of_request(body)]


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [HELLO], "logprobs": True},
        {"messages": [HELLO], "top_logprobs": 3},
        {"input": "Hi", "include": ["message.output_text.logprobs"]},
    ],
    ids=str,
)
def test_the_answer_is_not_given_once_more_beside_what_was_screened(body: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        of_request(body)
    assert refused.value.reason is Reason.UNREADABLE


@pytest.mark.parametrize("made", [of_request, of_answer])
def test_what_is_nested_too_deep_to_be_read_is_refused(made: Any) -> None:
    deep: Any = "end"
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(Refused, match="nested too deep"):
        made({"x": deep})


def test_the_role_decides_what_a_text_claims_to_be() -> None:
    (piece,) = of_request({"messages": [{"role": "user", "type": "tool_result", "content": ATTACK}]})[-1:]
    assert (piece.text, piece.kind) == (ATTACK, TextKind.PROMPT)


def test_arguments_of_a_call_are_text_whatever_their_keys_are_called() -> None:
    arguments = {
        "id": CARD,
        "embedding": ATTACK,
        "logprobs": KEY,
        "token_count": 4111111111111111,
        CARD: True,
    }
    found = [
        one.text
        for one in of_answer(
            {"message": {"tool_calls": [{"function": {"name": "pay", "arguments": arguments}}]}}
        )
    ]
    assert {CARD, ATTACK, KEY, "4111111111111111"} <= set(found)
    assert found.count(CARD) == 2


@pytest.mark.parametrize(
    "hidden",
    [
        "".join(chr(0xE0000 + ord(letter)) for letter in ATTACK),
        "\U000e0100".join(ATTACK),
        "\x7f".join(ATTACK),
        ATTACK.replace(" ", "\\n"),
        "\\u0069".join(ATTACK.split("i")),
    ],
    ids=["tags", "variation selectors", "control characters", "escapes of JSON", "escaped letters"],
)
def test_what_nobody_sees_is_screened_as_it_is_read(hidden: str) -> None:
    assert plain(hidden).split() == ATTACK.split()
