"""Texts that this very gateway has screened, by keyed hashes: of a conversation only what is new is screened again."""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict

_MOST = 50_000


class ScreenedTexts:
    """Remembers the newest texts that passed. Nobody can read or forge what it holds: the key is this process's own."""

    def __init__(self, most: int = _MOST) -> None:
        self._key = secrets.token_bytes(32)
        self._most = most
        self._hashes: OrderedDict[bytes, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._hashes)

    def add(self, kind: str, text: str, after: str) -> None:
        """Remember that a text of this kind passed `after` what was said before it."""
        self._hashes[self._hash(kind, text, after)] = None
        while len(self._hashes) > self._most:
            self._hashes.popitem(last=False)

    def has(self, kind: str, text: str, after: str) -> bool:
        """Tell whether this very text passed here as this kind, in this place: two halves that passed alone are no whole."""
        digest = self._hash(kind, text, after)
        if digest not in self._hashes:
            return False
        self._hashes.move_to_end(digest)
        return True

    def _hash(self, kind: str, text: str, after: str) -> bytes:
        hasher = hashlib.blake2b(key=self._key, digest_size=20, person=kind.encode()[:16])
        before = after.encode("utf-8", "surrogatepass")
        hasher.update(len(before).to_bytes(8, "big") + before)
        hasher.update(text.encode("utf-8", "surrogatepass"))
        return hasher.digest()
