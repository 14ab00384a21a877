"""Several numbers in one option of a command line."""

from __future__ import annotations

from collections.abc import Callable

import click


def counts_up_to(
    most: int,
) -> Callable[[click.Context, click.Parameter, str | None], tuple[int, ...] | None]:
    """Return what reads `1,4,16`, numbers from 1 to `most`, as they are: each once, the smallest first."""

    def read(_: click.Context, __: click.Parameter, text: str | None) -> tuple[int, ...] | None:
        if text is None:
            return None
        try:
            counts = sorted({int(part) for part in text.split(",")})
        except ValueError:
            counts = []
        if not counts or not 1 <= counts[0] <= counts[-1] <= most:
            raise click.BadParameter(
                f"should be numbers from 1 to {most} with commas between them, such as 1,4,16"
            )
        return tuple(counts)

    return read
