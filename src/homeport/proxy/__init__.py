"""
A local port in front of a private endpoint: whatever is sent there goes on under a caller's identity.

    key = door.new_key()
    async with proxy.running(endpoint, proxy.listen(8384), key=key, models=["gemma-4-e4b"]) as url:
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key.reveal())

Bodies pass as they are, both ways and piece by piece. What clients ask for at every start (`/v1/models`, `/health`)
is answered here, so that it does not wake a GPU that sleeps. Who has no key is not let in, and no web page is.
"""

from __future__ import annotations

from homeport.proxy.server import HOST, listen, running, serve

__all__ = ["HOST", "listen", "running", "serve"]
