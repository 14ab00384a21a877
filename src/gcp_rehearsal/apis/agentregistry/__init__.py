"""Agent Registry: what users enter into it, and the agents that others find there."""
