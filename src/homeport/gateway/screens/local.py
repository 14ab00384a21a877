"""
A screen for development: patterns, and no judgement. It needs no account, and lets through whatever has no pattern here.

It finds card numbers whose checksum is right, bank accounts whose checksum is right, keys of well-known makers, private keys,
US social security numbers, the addresses that Google keeps for tests of Safe Browsing, and a handful of phrases, in
English, of attacks that everybody knows. It does not understand a text: a paraphrase passes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping

from homeport.gateway.screens.base import FILTERS
from homeport.gateway.verdict import Side

_INJECTION = re.compile(
    r"(?:ignore|disregard|forget|override)\s+(?:all\s+|any\s+)?(?:of\s+)?(?:the\s+|your\s+|my\s+)?"
    r"(?:previous|prior|above|earlier|preceding|system)\s+(?:instructions?|prompts?|rules|directions)"
    r"|(?:reveal|print|show|repeat|output)\s+(?:me\s+)?(?:your|the)\s+(?:hidden\s+|initial\s+)?system\s+prompt"
    r"|you\s+are\s+now\s+(?:in\s+)?(?:developer\s+mode|dan\b|jailbroken)"
    r"|pretend\s+(?:that\s+)?you\s+have\s+no\s+(?:restrictions|rules|guidelines)",
    re.IGNORECASE,
)
_HARM = re.compile(
    r"how\s+(?:do\s+i|to|can\s+i)\s+(?:build|make)\s+a\s+(?:pipe\s+)?bomb|write\s+hate\s+speech\s+about"
    r"|write\s+sexually\s+explicit|write\s+an\s+insult\s+about\s+my\s+colleague",
    re.IGNORECASE,
)
_URLS = re.compile(
    r"https?://(?:testsafebrowsing\.appspot\.com|malware\.testing\.google\.test)/?", re.IGNORECASE
)
_CARD = re.compile(
    r"(?<![\d.])(?:\d{13,19}|\d{4}([ .\-_\u2013/])\d{4}\1\d{4}\1\d{1,7}|\d{4}([ .\-_\u2013/])\d{6}\2\d{5}"
    r"|\d([ .\-_\u2013/])(?:\d\3){11,17}\d)(?!\d)"
)
"""Digits as cards have them: in one, in groups, or one by one. A number with a fraction is none."""
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_SSN = re.compile(r"(?<!\d)(?!000|666|9\d\d)\d{3}-(?!00)\d\d-(?!0000)\d{4}(?!\d)")
_KEYS = re.compile(
    r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|\bAIza[0-9A-Za-z_-]{35}"
    r"|\bgh[pousr]_[0-9A-Za-z]{36,}"
    r"|\bgithub_pat_[0-9A-Za-z_]{40,}"
    r"|\bglpat-[0-9A-Za-z_-]{20,}"
    r"|\bhf_[A-Za-z0-9]{30,}"
    r"|\bxox[abprs]-[0-9A-Za-z-]{10,}"
    r"|\bsk-(?:proj-|ant-)?[A-Za-z0-9_-]{32,}"
    r"|\bsk_live_[0-9A-Za-z]{20,}"
    r"|(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{10,4000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{10}"
)


class LocalScreen:
    """Looks for patterns, in this process."""

    def __init__(self, filters: Collection[str] = FILTERS) -> None:
        self._filters = [name for name in FILTERS if name in filters]

    async def judge(self, text: str, side: Side) -> tuple[str, ...]:
        """Return the filters that found something in the text."""
        del side
        return tuple(name for name in self._filters if _FINDS[name](text))

    async def aclose(self) -> None:
        """Do nothing: there is no connection."""


def _secrets(text: str) -> bool:
    return (
        _KEYS.search(text) is not None
        or _SSN.search(text) is not None
        or any(is_card(match[0]) for match in _CARD.finditer(text))
        or any(is_iban(match[0]) for match in _IBAN.finditer(text))
    )


def is_card(text: str) -> bool:
    """Return True if the checksum of a card's digits is right (Luhn), and they are not all alike."""
    digits = [int(character) for character in text if character.isdecimal()][::-1]
    if not 13 <= len(digits) <= 19 or len(set(digits)) == 1:
        return False
    return (sum(digits[0::2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])) % 10 == 0


def is_iban(text: str) -> bool:
    """Return True if the checksum of a bank account's number is right (ISO 13616: 1 modulo 97)."""
    number = text.replace(" ", "")
    if not 15 <= len(number) <= 34:
        return False
    return int("".join(str(int(character, 36)) for character in number[4:] + number[:4])) % 97 == 1


_FINDS: Mapping[str, Callable[[str], bool]] = {
    "injection": lambda text: _INJECTION.search(text) is not None,
    "harm": lambda text: _HARM.search(text) is not None,
    "secrets": _secrets,
    "urls": lambda text: _URLS.search(text) is not None,
}
