"""Tokens: impersonation and workload identity federation."""

from __future__ import annotations

from collections.abc import Mapping

from homeport.rehearsal.kind import Handler, Kind

KINDS: Mapping[str, Kind] = {}
HANDLERS: Mapping[str, Handler] = {}
