"""The key of an endpoint on this machine: where it is kept, and whether it is the one that its engine was started with."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from homeport.errors import SpecError, StateError, WrongKey
from homeport.home import private_opener, writing
from homeport.own_path import expanded
from homeport.resources.local import endpoint_record
from homeport.resources.local.condition import engine_of
from homeport.resources.local.endpoint_record import EndpointRecord
from homeport.secret import Secret, resolve

GENERATED = "generated"
"""Stands for the reference of a key that homeport made."""
NONE = "none"
"""What local.api_key says where no key is wanted."""
SHORT = 16
"""A key of fewer characters can be guessed by anyone who reaches the endpoint from elsewhere."""
_NAME = "api_key"
_BYTES = 32
_COST = {"n": 2**12, "r": 8, "p": 1}
"""
Of scrypt, since a key that a person chose may be guessed: 4 MiB and some 15 ms a guess, where a plain hash allows billions
in a second. Every command that needs the key pays it once.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointKey:
    """Where the key of one endpoint is. The key itself is read when it is needed, and held nowhere."""

    reference: str
    """env:NAME, file:PATH, `GENERATED` or `NONE`."""
    name: str
    """Of the endpoint."""
    folder: Path
    """Of the endpoint, where a key that homeport made is kept."""
    base: Path
    """The folder that a relative file:PATH starts from."""

    @property
    def required(self) -> bool:
        """Tell whether clients must send a key."""
        return self.reference != NONE

    @property
    def path(self) -> Path | None:
        """Return the file that the key is kept in; None where it is in no file."""
        if self.reference == GENERATED:
            return self.folder / _NAME
        kind, _, name = self.reference.partition(":")
        return expanded(name, self.base) if kind == "file" else None

    def current(self) -> Secret | None:
        """
        Return the key as it is now; None where none is wanted, or homeport has made none yet.

        Raises `SpecError` where a reference of the user's leads nowhere, `StateError` where a file cannot be read.
        """
        if self.reference == NONE:
            return None
        if self.reference == GENERATED:
            return _read(self.folder / _NAME)
        try:
            return resolve(self.reference, key="local.api_key", base=self.base)
        except SpecError as error:
            raise self._missing(error) from error

    def ensure(self) -> Secret | None:
        """Return the key, made now where homeport makes it and has not yet; None where none is wanted."""
        if self.reference != GENERATED:
            return self.current()
        path = self.folder / _NAME
        return _read(path) or _make(path)

    def renew(self) -> None:
        """Replace a key that homeport made by a new one, in one step."""
        _make(self.folder / _NAME)

    def checked(self, started: EndpointRecord) -> Secret | None:
        """
        Return the key that the engine of the record `started` wants, or None where it wants none.

        Raises `WrongKey` where what the reference leads to is another key than the engine was started with, and what
        `current` raises.
        """
        if not started.launch.get("keyed"):
            return None
        key = self.current()
        if key is None:
            raise WrongKey(
                f"the key that homeport made for {self.name} is gone: {self.path} is not there",
                hint="`homeport up` makes another and restarts the engine with it",
            )
        if is_same(started, key) is False:
            raise self.another()
        return key

    async def held(self, started: EndpointRecord) -> Secret | None:
        """
        Return what `checked` returns, also where the record is of an earlier version: then the engine is asked.

        Raises what `checked` raises.
        """
        key = self.checked(started)
        if key is not None and is_same(started, key) is None:
            from homeport.resources.local.readiness import probe

            if (await probe(started.url, key)).key_refused:
                raise self.another()
        return key

    def another(self) -> WrongKey:
        """Return the error for a key that is not the one that the engine was started with."""
        if self.reference == GENERATED:
            return WrongKey(
                f"{self.path} holds another key than the engine of {self.name} was started with",
                hint="`homeport up` restarts the engine with the key in the file",
            )
        kind, _, name = self.reference.partition(":")
        where = f"the variable {name} of this shell" if kind == "env" else f"the file {self.path}"
        return WrongKey(
            f"the engine of {self.name} was started with another key than {where} holds",
            hint=f"put that key there, as where `homeport up` was run; `homeport up` restarts the engine with what {name} holds",
        )

    def _missing(self, error: SpecError) -> SpecError:
        """
        Return the error of a reference that leads nowhere; in the words of an endpoint that was started with
        a key from there.
        """
        started = endpoint_record.read(self.folder)
        if (
            not isinstance(started, EndpointRecord)
            or not started.launch.get("keyed")
            or _reference_of(started) != self.reference
        ):
            return error
        message = str(error).replace("which is not set", "which is not set in this shell")
        if engine_of(started, self.folder) is None:
            text = f"{message}. The engine of {self.name} was started with the key that was there, and has ended since"
            return SpecError(
                text, hint=f"{_give_back(self.reference)}, then `homeport up`: its clients go on with it"
            )
        text = f"{message}. The engine of {self.name} runs with the key that was there when it was started"
        return SpecError(text, hint=_give_back(self.reference))


def fingerprint(reference: str, key: Secret) -> Mapping[str, str]:
    """Return what a record holds of a key: where it came from, and a salted hash by which it is known again."""
    salt = secrets.token_bytes(16)
    return {"reference": reference, "salt": salt.hex(), "scrypt": _hashed(key, salt)}


def is_same(started: EndpointRecord, key: Secret) -> bool | None:
    """Return True if the engine was started with `key`; None where its record, one of an earlier version, does not tell."""
    stored = started.key or {}
    try:
        return hmac.compare_digest(stored["scrypt"], _hashed(key, bytes.fromhex(stored["salt"])))
    except (KeyError, ValueError):
        return None


def of_record(started: EndpointRecord, folder: Path) -> EndpointKey:
    """Return where the key is that the engine of `started` was started with."""
    reference = _reference_of(started) if started.launch.get("keyed") else NONE
    base = Path(started.spec_file).parent
    return EndpointKey(reference=reference, name=started.name, folder=folder, base=base)


def is_stored(folder: Path) -> bool:
    """Return True if a key that homeport made is kept in the folder of this endpoint."""
    return (folder / _NAME).exists()


def forget(folder: Path) -> bool:
    """Remove the key that homeport made for the endpoint whose folder this is; whether there was one."""
    existed = is_stored(folder)
    with writing(folder / _NAME):
        (folder / _NAME).unlink(missing_ok=True)
    return existed


def _reference_of(started: EndpointRecord) -> str:
    """Return the reference of the key; a record of an earlier version tells it in its spec alone."""
    return started.key["reference"] if started.key else started.spec["local"]["api_key"] or GENERATED


def _give_back(reference: str) -> str:
    kind, _, name = reference.partition(":")
    return f"export {name} with that key" if kind == "env" else f"put that key back into {name}"


def _hashed(key: Secret, salt: bytes) -> str:
    return _scrypt(key.compared(), salt)


@lru_cache(maxsize=8)
def _scrypt(text: str, salt: bytes) -> str:
    """Return the hash, which costs ten milliseconds to whoever guesses, and to us once: one `up` compares the same key four times."""
    return hashlib.scrypt(text.encode(), salt=salt, **_COST).hex()


def _read(path: Path) -> Secret | None:
    try:
        text = path.read_text(encoding="ascii").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise StateError(
            f"the key that homeport made cannot be read: {path}: {error}",
            hint="`homeport key rotate` makes another",
        ) from error
    return Secret(text) if text else None


def _make(path: Path) -> Secret:
    """Make a new key in a file that is its user's alone from the start; who reads it sees the old one or this."""
    key = Secret(secrets.token_urlsafe(_BYTES))
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with writing(path):
        try:
            with open(draft, "x", encoding="ascii", opener=private_opener) as file:
                file.write(key.reveal() + "\n")
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    return key
