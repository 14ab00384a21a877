"""The hub's token, as its own tools find it."""

from __future__ import annotations

from homeport.secret import Secret, judged


def find(given: Secret | None) -> str | None:
    """
    Return the token that was `given`, else the one in `HF_TOKEN` or that of `hf auth login`; None where there is none.

    Raises `SpecError` for one that cannot be sent: the hub's library would print it.
    """
    from huggingface_hub import constants, get_token

    if given is not None:
        return given.reveal()
    token = None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token()
    if not token:
        return None
    called = "the hub's token (HF_TOKEN, or the one of `hf auth login`)"
    return judged(token, called=called, hint="`hf auth login`, or set HF_TOKEN again").reveal()
