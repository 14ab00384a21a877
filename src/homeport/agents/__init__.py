"""Agents on an endpoint: a model that chooses tools, within a budget, with a transcript of each step."""
