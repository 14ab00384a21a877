"""All output for people: talk and progress on stderr, results on stdout."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeport.errors import HomeportError
from homeport.home import writing
from homeport.json_types import Json
from homeport.printable import json_text, printable, printable_answer
from homeport.redaction import undecided
from homeport.typed import hidden_line, typed_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

_BETWEEN = "  "
"""What stands between two columns."""


class Terminal:
    """
    Shows what homeport does. It is a `Progress`, too.

    On a terminal it draws bars; otherwise it prints a line when work begins and one when it ends. With
    `json` the talk goes on, and the result is one JSON document on stdout.

    Whatever it is given to show comes from anywhere: a stranger's file, a server's answer. So all of it passes
    through `homeport.printable`: without the secrets that this process has revealed, and with what is not printable
    escaped.
    """

    def __init__(self, *, json_output: bool = False, quiet: bool = False) -> None:
        self.json_output = json_output
        self._quiet = quiet
        self._begun: dict[str, float] = {}
        self._bars: Bars | None = None
        self._tasks: dict[str, TaskID] = {}
        self._expected = ""
        self._whole_began = 0.0
        self._held = ""
        """The end of what was written, which may be the beginning of a secret."""

    @property
    def interactive(self) -> bool:
        """Tell whether a person can be asked."""
        return sys.stdin.isatty() and sys.stderr.isatty() and not self.json_output

    def say(self, text: str = "", *, style: str = "") -> None:
        """Print a line for people, on stderr."""
        if self._quiet:
            return
        text = printable(text)
        if style and sys.stderr.isatty():
            self._console().print(text, style=style, highlight=False, markup=False)
        else:
            print(text, file=sys.stderr)

    def result(self, text: str, data: Json | None = None) -> None:
        """Print what was asked for, on stdout: `text` for people, or with --json the `data`."""
        self._print(json_text(data) if self.json_output and data is not None else printable(text))

    def secret_result(self, text: str, data: Mapping[str, str]) -> None:
        """Print a result with a secret in it, in clear: for a command that is there to print one, and for no other."""
        self._print(json.dumps(data, indent=2) if self.json_output else text)

    def write(self, text: str) -> None:
        """
        Print a piece of the result without a line's end, such as a word of an answer, or some lines of a log.

        Its end is held back while it may be the beginning of a secret: `flush` when nothing follows.
        """
        pending = self._held + text
        cut = len(pending) - undecided(pending)
        safe, self._held = pending[:cut], pending[cut:]
        sys.stdout.write(printable_answer(safe))
        sys.stdout.flush()

    def flush(self) -> None:
        """Write what was held back."""
        held, self._held = self._held, ""
        sys.stdout.write(printable_answer(held))
        sys.stdout.flush()

    def table(
        self, header: tuple[str, ...], rows: list[tuple[str, ...]], *, data: Json, empty: str = ""
    ) -> None:
        """
        Print a table as the result; where it has no rows, say `empty` instead.

        On a terminal that is narrower than the table each row is a block, a line for each of its cells that are not empty.
        """
        if self.json_output:
            self.result("", data)
            return
        if empty and not rows:
            self.say(empty)
            return
        header, *rows = (tuple(printable(cell, keep="") for cell in row) for row in [header, *rows])
        widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
        columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        if columns is not None and sum(widths) + len(_BETWEEN) * (len(widths) - 1) > columns:
            self.result("\n\n".join(_block(header, row, columns) for row in rows))
            return
        lines = (
            _BETWEEN.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in [header, *rows]
        )
        self.result("\n".join(lines))

    def confirm(self, question: str, *, default: bool = True) -> bool:
        """Ask a person; the default where they just press Enter."""
        answer = self.ask(f"{question} [{'Y/n' if default else 'y/N'}] ").strip().lower()
        return default if not answer else answer in {"y", "yes"}

    def ask(self, prompt: str) -> str:
        """Return a line that a person types. Raises `EOFError` where there is none, `KeyboardInterrupt` at Ctrl-C."""
        # An event loop takes Ctrl-C for itself and looks at it only when this line has been typed.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            sys.stderr.write(printable(prompt))
            sys.stderr.flush()
            return typed_line()
        finally:
            signal.signal(signal.SIGINT, before)

    def ask_secret(self, prompt: str) -> str:
        """Return what a person types without its being shown. Raises as `ask` does."""
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return hidden_line(printable(prompt))
        finally:
            signal.signal(signal.SIGINT, before)

    def error(self, error: HomeportError) -> None:
        """Print what happened, and what to do."""
        if self.json_output:
            print(json_text(error.as_json()))
        red = "bold red" if sys.stderr.isatty() else ""
        self._always(f"error: {error}", red)
        if error.hint:
            self._always(f"   do: {error.hint}")
        if error.url:
            self._always(f"  see: {error.url}")

    def expect(self, whole: str) -> None:
        """
        Begin to tell of all work together how long it has taken, of what was expected: `whole`, such as `8 to 15 min`.

        '' ends it, with a line of what it came to.
        """
        if self._expected and not whole:
            self.close()
            self.say(f"  all of it: {self._of_whole()}")
        self._expected, self._whole_began = whole, time.monotonic()

    def _of_whole(self) -> str:
        """Return how far all work together is: `3 min 20 s of 8 to 15 min`."""
        minutes, seconds = divmod(int(time.monotonic() - self._whole_began), 60)
        return f"{f'{minutes} min ' if minutes else ''}{seconds} s of {self._expected}"

    def started(self, key: str, what: str) -> None:
        """Tell that a piece of work began."""
        self._begun[key] = time.monotonic()
        if self._drawing():
            self._tasks[key] = self._open_bars().add_task(printable(what, keep=""), total=None)
        else:
            self.say(f"  {what} …")

    def advanced(self, key: str, done: int, total: int) -> None:
        """Show how many bytes have come."""
        if self._bars is not None and key in self._tasks:
            self._bars.update(self._tasks[key], completed=done, total=total)

    def finished(self, key: str, what: str) -> None:
        """Tell that a piece of work ended well."""
        self._close(key)
        took = time.monotonic() - self._begun.pop(key, time.monotonic())
        overall = f"; {self._of_whole()}" if self._expected else ""
        self.say(f"  ✓ {what} ({took:.1f} s{overall})", style="green")

    def failed(self, key: str, what: str) -> None:
        """Tell that a piece of work ended badly; the error itself is shown at the end."""
        self._close(key)
        if self._begun.pop(key, None) is not None:
            self.say(f"  ✗ {key}", style="red")

    def note(self, text: str) -> None:
        """Show something that the reader should know."""
        self.say(f"  {text}", style="yellow")

    def close(self) -> None:
        """Take the bars off the screen, whatever happened."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None
            self._tasks.clear()

    @staticmethod
    def _print(text: str) -> None:
        if text:
            with writing(Path("standard output"), do="lead it into another file or program"):
                print(text, flush=True)

    def _always(self, text: str, style: str = "") -> None:
        quiet, self._quiet = self._quiet, False
        self.say(text, style=style)
        self._quiet = quiet

    def _drawing(self) -> bool:
        return sys.stderr.isatty() and not self._quiet

    def _console(self) -> Console:
        from rich.console import Console

        return self._bars.console if self._bars is not None else Console(stderr=True)

    def _open_bars(self) -> Bars:
        if self._bars is None:
            from rich import progress
            from rich.table import Column
            from rich.text import Text

            class OfBytes(progress.ProgressColumn):
                """A column that stays empty for work that is not counted in bytes."""

                def __init__(self, column: progress.ProgressColumn) -> None:
                    super().__init__(Column(no_wrap=True))
                    self._column = column

                def render(self, task: progress.Task) -> Any:  # Any: whatever the column draws
                    return self._column.render(task) if task.total else Text()

            counted = (
                progress.BarColumn(bar_width=12),
                progress.DownloadColumn(),
                progress.TransferSpeedColumn(),
                progress.TimeRemainingColumn(),
            )
            words = Column(ratio=1, no_wrap=True, overflow="ellipsis")
            self._bars = progress.Progress(
                progress.SpinnerColumn(),
                progress.TextColumn("{task.description}", markup=False, table_column=words),
                *(OfBytes(column) for column in counted),
                progress.TimeElapsedColumn(),
                console=self._console(),
                transient=True,
                expand=True,
            )
            if self._expected:
                overall = self._bars.add_task(
                    f"all of it: {printable(self._expected, keep='')} expected", total=None
                )
                self._bars.tasks[overall].start_time = self._whole_began
            self._bars.start()
        return self._bars

    def _close(self, key: str) -> None:
        task = self._tasks.pop(key, None)
        if self._bars is None:
            return
        if task is not None:
            self._bars.remove_task(task)
        if not self._tasks:
            self.close()


def pairs(values: Mapping[str, str] | Iterable[tuple[str, str]]) -> str:
    """Return labels and values, one a line, the values aligned."""
    rows = list(values.items() if isinstance(values, Mapping) else values)
    width = max((len(label) for label, _ in rows), default=0)
    return "\n".join(f"  {label.ljust(width)}  {printable(value, keep='')}" for label, value in rows)


def _block(header: tuple[str, ...], row: tuple[str, ...], columns: int) -> str:
    """Return a row as lines of label and value, of which none that can be broken between words is longer than the terminal."""
    from textwrap import wrap

    label_width = max(len(label) for label in header) + len(_BETWEEN)
    lines = []
    for label, cell in zip(header, row, strict=True):
        parts = wrap(cell, max(1, columns - label_width), break_long_words=False, break_on_hyphens=False)
        for number, part in enumerate(parts):
            lines.append((label if number == 0 else "").ljust(label_width) + part)
    return "\n".join(lines)
