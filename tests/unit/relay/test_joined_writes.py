"""The head of an answer goes out with what of its body is there, and nothing waits for more."""

from __future__ import annotations

import asyncio
from typing import Any

from homeport.relay.joined_writes import JoinedWrites

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


class Wire(asyncio.Transport):
    """A transport that notes what is written to it in one go."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed_after: int | None = None

    def write(self, data: Any) -> None:  # Any: whatever holds bytes
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed_after is not None

    def close(self) -> None:
        self.closed_after = len(self.written)

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


def written(*turns: list[bytes], closes: bool = False) -> Wire:
    """A wire after what was written in each turn of the loop."""

    async def main() -> Wire:
        wire = Wire()
        joined = JoinedWrites(wire, asyncio.get_running_loop())
        for turn in turns:
            for data in turn:
                joined.write(data)
            if not closes:
                await asyncio.sleep(0)
        if closes:
            joined.close()
            await asyncio.sleep(0)
        return wire

    return asyncio.run(main())


def test_a_head_and_what_is_there_behind_it_are_one_write() -> None:
    assert written([HEAD, b"first", b"second"]).written == [HEAD + b"first", b"second"]


def test_a_head_without_a_body_waits_for_none() -> None:
    assert written([HEAD], [b"first"], [b"second"]).written == [HEAD, b"first", b"second"]


def test_the_next_answers_head_goes_out_behind_the_end_of_this_one() -> None:
    assert written([HEAD, b"one", HEAD, b"two"]).written == [HEAD + b"one", HEAD + b"two"]


def test_a_body_that_looks_like_a_head_comes_in_its_order() -> None:
    assert (
        b"".join(written([HEAD, HEAD, HEAD, b"x"], [HEAD], [b"y"]).written) == 3 * HEAD + b"x" + HEAD + b"y"
    )


def test_a_head_is_written_before_its_connection_is_closed() -> None:
    wire = written([HEAD], closes=True)
    assert (wire.written, wire.closed_after) == ([HEAD], 1)
