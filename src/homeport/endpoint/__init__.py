"""An endpoint: where a model answers, who may call it, and what its refusals mean."""

from homeport.endpoint.endpoint import Endpoint, Message

__all__ = ["Endpoint", "Message"]
