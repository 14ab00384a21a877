"""Cloud Run with a GPU: what an endpoint is made of there."""
