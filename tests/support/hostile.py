"""Names that somebody may put into Host: those of this machine, and those that only look so."""

from __future__ import annotations

import string
from collections.abc import Sequence

from hypothesis import strategies as st

LOOPBACK = (
    "localhost",
    "LOCALHOST:8600",
    "127.0.0.1",
    "127.0.0.1:1",
    "127.8.9.10:65535",
    "[::1]",
    "[::1]:8600",
)
NOT_LOOPBACK = (
    "evil.example", "localhost.", "localhost.evil.example", "127.1", "0x7f.1", "2130706433", "0177.0.0.1",
    "127.0.0.1.evil.example", "127.0.0.1.", "::1", "[::ffff:127.0.0.1%25lo]", "0.0.0.0", "[::]", "10.0.0.1",
    "x@127.0.0.1", "x@localhost", "evil.example@localhost", "127.0.0.1@evil.example", "localhost:", "localhost:abc",
    "127.0.0.1:abc", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:8600:8600", "127.0.0.1/", "localhost/x",
    "localhost#", "localhost?", "localhost, evil.example", "loc\xe4lhost", "%6cocalhost", "192.168.1.7:8384", "",
)  # fmt: skip


def spelt(names: Sequence[str]) -> st.SearchStrategy[str]:
    """Texts of any kind, and some that are nearly one of `names`."""
    odd = string.ascii_letters + string.digits + ".-_:@[]/%#? \t\x00"
    return st.one_of(
        st.sampled_from(names),
        st.text(alphabet=odd, max_size=40),
        st.tuples(st.sampled_from(names), st.text(max_size=6)).map("".join),
        st.tuples(st.text(max_size=6), st.sampled_from(names)).map("".join),
        st.text(max_size=30),
    )
