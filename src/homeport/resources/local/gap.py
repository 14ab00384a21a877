"""When an engine that is about to end answered last."""

from __future__ import annotations

import time
from threading import Event, Thread
from types import TracebackType
from typing import Self

_EVERY_S = 0.02
_PATIENCE_S = 2.0


class AnswerWatch:
    """
    Asks `url` fifty times a second while the `with` block runs, from a thread of its own.

    An answer counts, not an accepted connection: the kernel goes on accepting for an engine that serves nobody any more.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._ended = Event()
        self._asked_once = Event()
        self._thread = Thread(target=self._watch, daemon=True)
        self.last_answer: float | None = None
        """On the monotonic clock: when the last request that was answered had been sent. None for no answer at all."""

    def __enter__(self) -> Self:
        self._thread.start()
        self._asked_once.wait(_PATIENCE_S + 1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(_PATIENCE_S + 1)

    def _watch(self) -> None:
        from urllib.error import HTTPError
        from urllib.request import ProxyHandler, build_opener

        opener = build_opener(ProxyHandler({}))
        while not self._ended.is_set():
            sent = time.monotonic()
            try:
                opener.open(self._url, timeout=_PATIENCE_S).close()
                self.last_answer = sent
            except HTTPError as error:
                error.close()
            except OSError:
                pass
            self._asked_once.set()
            self._ended.wait(_EVERY_S)
