"""The engines: how a model is run on given hardware."""
