"""
A local port in front of a private endpoint: whatever is sent there goes on under a caller's identity.

    async with proxy.running(endpoint, proxy.listen(8384), models=["gemma-4-e4b"]) as url:
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="unused")

Bodies pass as they are, both ways and piece by piece. What clients ask for at every start (`/v1/models`, `/health`)
is answered here, so that it does not wake a GPU that sleeps. Whoever uses this machine can use the port.
"""

from __future__ import annotations

from homeport.proxy.server import HOST, listen, running, serve

__all__ = ["HOST", "listen", "running", "serve"]
