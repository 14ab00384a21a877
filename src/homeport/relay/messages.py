"""The types of ASGI, as far as they are needed here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any

Scope = Mapping[str, Any]  # Any: ASGI's own values
Message = dict[str, Any]  # Any: as above
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]  # Any: as above
Send = Callable[[Message], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]
"""Names are in lower case in what the server hands over."""
