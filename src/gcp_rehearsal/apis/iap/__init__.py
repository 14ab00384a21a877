"""Identity-Aware Proxy: who may come through it, and by which OAuth client they log in."""
