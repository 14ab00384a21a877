"""Compute Engine: networks, and what load balancers are made of."""
