"""A supervisor's life: watch the engine, start it again when it has to be, give up when that does not help."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import psutil

from homeport.supervisor import journal
from homeport.supervisor.child import begin
from homeport.supervisor.engine import SupervisedEngine
from homeport.supervisor.journal import Journal, Phase, Restart
from homeport.supervisor.judge import Judge
from homeport.supervisor.order import MOST, WITHIN_S, Order
from homeport.supervisor.pulse import PulseThread
from homeport.supervisor.usage import CountedProcess, UsageThread, end_of

_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 30.0
_LOOK_S = 1.0
_ASKED_S, _UNASKED_S = 5.0, 1.0
"""How long an engine may take to end: one that is deaf does not hear that it is to end, and holds ever more memory."""


class Watch:
    """Watches one endpoint's engine until it is asked to end it, or gives it up."""

    def __init__(self, order: Order, child: subprocess.Popen[bytes] | None) -> None:
        self._order, self._folder = order, Path(order.folder)
        self._log = self._folder / "engine.log"
        self._asked: queue.SimpleQueue[int] = queue.SimpleQueue()
        """Signals that ask for the end. Its `put` is safe within a signal's handler."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _: self._asked.put(number))
        before = self._before = journal.load(self._folder) if order.adopt is not None else None
        self._count, self._last = (before.restarts, before.last) if before else (0, None)
        self._signs = before.weights if before else {}
        self._ends: list[float] = []
        self._was_healthy = order.adopt is not None
        self._told: Journal | None = None
        self._engine: SupervisedEngine | None = None
        pid = child.pid if child is not None else int((order.adopt or {})["pid"])
        self._watch(pid, child, again=False)

    def run(self) -> int:
        """Watch; return the exit code when it was asked to end, or gave up."""
        while True:
            reason = self._reason()
            if reason is None:
                return self._end()
            self._end_engine(_UNASKED_S)
            if not self._may_go_on(reason):
                return 1
            if not self._begin_again():
                return self._end()

    def _watch(self, pid: int, child: subprocess.Popen[bytes] | None, *, again: bool) -> None:
        try:
            self._engine = SupervisedEngine(pid, child)
        except psutil.Error:
            self._engine = None
        adopted = child is None
        if not adopted:
            self._signs = journal.signs(self._order.weights)
        ticks = self._engine.ticks if self._engine else ""
        self._pulse = PulseThread(self._order, pid, ticks, healthy=adopted, wants_token=again)
        self._pulse.start()
        self._log_at, known = self._log_begun(adopted=adopted)
        self._usage = self._counting(fresh=not adopted or known)
        self._judge = Judge(self._order, self._engine, self._pulse) if self._engine else None
        self._tell(Phase.RESTARTING if again else Phase.SERVING)

    def _counting(self, *, fresh: bool) -> UsageThread | None:
        """Return the thread that keeps what the engine counts, begun; None where there is no engine."""
        engine = self._engine
        if engine is None:
            return None
        counted = CountedProcess(
            process=f"{engine.pid} {engine.ticks or engine.create_time}",
            since=engine.create_time if fresh else time.time(),
            fresh=fresh,
            log_at=self._log_at,
        )
        thread = UsageThread(self._order, counted, self._say)
        thread.start()
        return thread

    def _log_begun(self, *, adopted: bool) -> tuple[int, bool]:
        """Return from where on the log is the engine's, and whether that is its beginning: as its last supervisor told."""
        before, engine = self._before, self._engine
        if adopted and before is not None and engine is not None and before.log_at is not None:
            same = (before.engine_pid, before.engine_ticks) == (engine.pid, engine.ticks)
            return (before.log_at, True) if same else (end_of(self._log), False)
        return end_of(self._log), not adopted

    def _reason(self) -> str | None:
        """Return why the engine has to be started again, once it has; None where the end is asked for."""
        while True:
            if self._is_asked(_LOOK_S if self._engine else 0):
                return None
            self._was_healthy = self._was_healthy or self._pulse.healthy
            if self._engine is None or self._judge is None:
                return "it ended at once"
            if self._engine.has_ended():
                return self._engine.how_it_ended()
            reason = self._judge.verdict()
            if reason is not None:
                return reason
            answers = self._pulse.healthy and self._pulse.ready
            self._tell(Phase.RESTARTING if self._ends and not answers else Phase.SERVING)

    def _is_asked(self, seconds: float) -> bool:
        try:
            self._asked.get(timeout=seconds)
        except queue.Empty:
            return False
        return True

    def _end_engine(self, patience_s: float, *, answers: bool = False) -> None:
        self._pulse.stop()
        if self._usage is not None:
            self._usage.stop(once_more=answers)
        if self._engine is not None:
            self._engine.end(patience_s)
            self._engine = self._judge = None
        if self._usage is not None:
            self._usage.close()
            self._usage = None

    def _may_go_on(self, reason: str) -> bool:
        """Note the end, and say whether the engine is to be started again."""
        now = time.monotonic()
        at = datetime.now(UTC).isoformat(timespec="seconds")
        self._count, self._last = self._count + 1, Restart(at=at, reason=reason)
        self._ends = [end for end in self._ends if now - end < WITHIN_S] + [now]
        if not self._order.restart:
            return self._give_up(f'{reason}; local.restart is "never"')
        if not self._was_healthy:
            return self._give_up(f"{reason} before it was ready")
        if len(self._ends) > MOST:
            return self._give_up(f"{reason}: {len(self._ends)} ends within {WITHIN_S / 60:.0f} minutes")
        return True

    def _give_up(self, why: str) -> bool:
        assert self._last is not None
        self._last = Restart(at=self._last.at, reason=why)
        self._say(f"the engine is not started again: {why}")
        self._tell(Phase.FAILED)
        return False

    def _begin_again(self) -> bool:
        """Wait, and start the engine; whether that was done, and the end not asked for meanwhile."""
        wait = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** (len(self._ends) - 1))
        assert self._last is not None
        self._say(
            f"{self._last.reason}; it is started again in {wait:.0f} s "
            f"({len(self._ends)} of at most {MOST} times in {WITHIN_S / 60:.0f} minutes)"
        )
        self._tell(Phase.RESTARTING)
        if self._is_asked(wait):
            return False
        try:
            child = begin(self._order.command, self._order.environment, self._order.api_key)
        except OSError as error:
            self._give_up(f"{self._order.command[0]} cannot be started: {error.strerror or error}")
            return False
        self._watch(child.pid, child, again=True)
        return True

    def _end(self) -> int:
        self._end_engine(_ASKED_S, answers=self._pulse.healthy)
        return 0

    def _tell(self, phase: Phase) -> None:
        """Write what has changed since it was last written."""
        entry = Journal(
            phase=phase,
            engine_pid=self._engine.pid if self._engine else 0,
            engine_create_time=self._engine.create_time if self._engine else 0.0,
            engine_ticks=self._engine.ticks if self._engine else "",
            restarts=self._count,
            last=self._last,
            silent_since=self._judge.silent_since() if self._judge else None,
            weights=self._signs,
            log_at=self._log_at,
        )
        if entry != self._told:
            self._told = entry
            try:
                entry.save(self._folder)
            except OSError as error:
                self._say(f"its state could not be written: {error}")

    def _say(self, text: str) -> None:
        """Write a line into the engine's log."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with contextlib.suppress(OSError):
            os.write(sys.stderr.fileno(), f"homeport {now}: {text}\n".encode())
