"""Identity-Aware Proxy: who may come through it."""
