"""Where a model is served. A target turns a spec and its launch into resources."""
