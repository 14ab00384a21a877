"""The hub's token, as its own tools find it."""

from __future__ import annotations

from homeport.errors import StateError
from homeport.secret import Secret, judged


def find(given: Secret | None) -> str | None:
    """
    Return the token that was `given`, else the one in `HF_TOKEN` or that of `hf auth login`; None where there is none.

    Raises `SpecError` for one that cannot be sent: the hub's library would print it; `StateError` where its file cannot be read.
    """
    from huggingface_hub import constants, get_token

    if given is not None:
        return given.reveal()
    try:
        token = None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token()
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise StateError(
            f"the hub's token cannot be read from {constants.HF_TOKEN_PATH}: {why}",
            hint="`hf auth login` writes it anew; or set HF_TOKEN, or HF_TOKEN_PATH to another file",
        ) from error
    if not token:
        return None
    called = "the hub's token (HF_TOKEN, or the one of `hf auth login`)"
    return judged(token, called=called, hint="`hf auth login`, or set HF_TOKEN again").reveal()
