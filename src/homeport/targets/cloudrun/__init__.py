"""Cloud Run with a GPU: what an endpoint is made of there, what is looked at before, and why it failed."""
