"""
The messages by which Envoy asks a processor (envoy.service.ext_proc.v3), as bytes: the few of them, and of these the few fields, that a
callout of the rehearsal's reads and says. Envoy itself judges the numbers of the fields: `make test-edge`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

METHOD = "Process"
SERVICE = "envoy.service.ext_proc.v3.ExternalProcessor"
REQUEST_HEADERS, RESPONSE_HEADERS, REQUEST_BODY, RESPONSE_BODY = 2, 3, 4, 5
"""Fields of a `ProcessingRequest`; those of a `ProcessingResponse` are one less each."""
_IMMEDIATE, _MODE_OVERRIDE = 7, 9
_HEADER_MAP, _HEADER, _KEY, _VALUE, _RAW_VALUE = 1, 1, 1, 2, 3
_BODY = 1
_STATUS, _CODE, _HEADERS, _SET_HEADERS, _CONTENT = 1, 1, 2, 1, 3
_RESPONSE_HEADER_MODE, _REQUEST_BODY_MODE, _RESPONSE_BODY_MODE = 2, 3, 4
_SEND, _BUFFERED = 1, 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessingEvent:
    """What Envoy tells at one turn of a request."""

    turn: int
    """Which, as the field is numbered."""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def header(self, name: str) -> str:
        """Return the value of a header; '' for none."""
        return next((value for key, value in self.headers if key == name), "")


def read(message: bytes) -> ProcessingEvent:
    """Return what Envoy tells. Raises `ValueError` for what is no message of its."""
    for number, value in _fields(message):
        if number in {REQUEST_HEADERS, RESPONSE_HEADERS} and isinstance(value, bytes):
            return ProcessingEvent(turn=number, headers=tuple(_headers(value)))
        if number in {REQUEST_BODY, RESPONSE_BODY} and isinstance(value, bytes):
            bodies = [part for field, part in _fields(value) if field == _BODY and isinstance(part, bytes)]
            return ProcessingEvent(turn=number, body=b"".join(bodies))
    return ProcessingEvent(turn=0)


def go_on(turn: int, *, with_body: bool = False) -> bytes:
    """Return that a request goes on as it is; `with_body` says that its answer is to be held, and its body told."""
    mode = _number(_RESPONSE_HEADER_MODE, _SEND) + _number(_REQUEST_BODY_MODE, _BUFFERED)
    mode += _number(_RESPONSE_BODY_MODE, _BUFFERED)
    return _bytes(turn - 1, b"") + (_bytes(_MODE_OVERRIDE, mode) if with_body else b"")


def instead(status: int, content_type: str, body: bytes) -> bytes:
    """Return what the client gets in place of what it would get."""
    header = _bytes(_KEY, b"content-type") + _bytes(_RAW_VALUE, content_type.encode())
    mutation = _bytes(_SET_HEADERS, _bytes(_HEADER, header))
    said = _bytes(_STATUS, _number(_CODE, status)) + _bytes(_HEADERS, mutation) + _bytes(_CONTENT, body)
    return _bytes(_IMMEDIATE, said)


def _headers(message: bytes) -> Iterator[tuple[str, str]]:
    for number, table in _fields(message):
        if number != _HEADER_MAP or not isinstance(table, bytes):
            continue
        for _, header in _fields(table):
            parts = dict(_fields(header)) if isinstance(header, bytes) else {}
            key, value = parts.get(_KEY, b""), parts.get(_RAW_VALUE) or parts.get(_VALUE, b"")
            if isinstance(key, bytes) and isinstance(value, bytes):
                yield key.decode(), value.decode("latin-1")


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the fields of a message by their numbers, those of a fixed width as bytes."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == _BYTES:
            length, at = _varint(message, at)
        elif kind in {_FIXED64, _FIXED32}:
            length = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"no message of Envoy's: it has a field of the kind {kind}")
        if at + length > len(message):
            raise ValueError("no message of Envoy's: it ends within a field")
        yield number, message[at : at + length]
        at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message):
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise ValueError("no message of Envoy's: it ends within a number")


def _number(field: int, value: int) -> bytes:
    return _encoded(field << 3 | _VARINT) + _encoded(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _encoded(field << 3 | _BYTES) + _encoded(len(value)) + value


def _encoded(value: int) -> bytes:
    made = bytearray()
    while value >= 0x80:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)


__all__ = [
    "METHOD",
    "REQUEST_BODY",
    "REQUEST_HEADERS",
    "RESPONSE_BODY",
    "RESPONSE_HEADERS",
    "SERVICE",
    "ProcessingEvent",
    "go_on",
    "instead",
    "read",
]
