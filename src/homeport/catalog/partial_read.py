"""Reading a header from the first bytes of a file that is somewhere else."""

from __future__ import annotations


class NeedsMore(Exception):
    """The header goes on behind the bytes that were given."""

    def __init__(self, at_least: int) -> None:
        super().__init__(f"{at_least:,} bytes are needed")
        self.at_least = at_least
