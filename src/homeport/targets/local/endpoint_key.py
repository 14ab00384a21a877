"""What a plan says of the key of an endpoint on this machine."""

from __future__ import annotations

import stat
from collections.abc import Iterator

from homeport.addresses import is_loopback
from homeport.engines.registry import module
from homeport.resources.local.endpoint_key import GENERATED, SHORT, EndpointKey, is_same
from homeport.resources.local.endpoint_record import EndpointRecord

_OPEN = (
    "every program and user of this machine, and every web page that is open in a browser on it, can use the model, "
    "read what others ask it, and change how it serves"
)
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def described(key: EndpointKey) -> str:
    """Return what is wanted of clients."""
    if not key.required:
        return "none; all that runs on this machine can use it"
    if key.reference == GENERATED:
        return "wanted; homeport makes it, and `homeport env` prints it"
    return f"wanted ({key.reference})"


def warnings(key: EndpointKey, host: str, engine: str, started: EndpointRecord | None) -> Iterator[str]:
    """Return what the reader of a plan should know of the key before saying yes."""
    if not key.required:
        asks = module(engine).ASKS_FOR_KEY
        why = "no key is wanted (local.api_key)" if asks else f"{engine} cannot ask for a key"
        yield f"{why}: {_OPEN}"
        return
    secret = key.current()
    if started is not None and not started.launch.get("keyed"):
        yield f"{key.name} runs without a key now; once this is done, its clients must send one: `homeport env` prints it"
    elif started is not None and secret is not None and is_same(started, secret) is False:
        yield f"{key.another()}: its clients must send this one once this is done"
    if key.reference == GENERATED:
        return
    if secret is not None and len(secret.compared()) < SHORT and not is_loopback(host):
        yield (
            f"the key has fewer than {SHORT} characters, and {host} can be reached from other machines: it can be guessed. "
            "`openssl rand -hex 24` prints a good one"
        )
    path = key.path
    if path is not None and path.exists() and stat.S_IMODE(path.stat().st_mode) & _OTHERS:
        yield f"others on this machine can read the key in {path}: `chmod 600 {path}`"
