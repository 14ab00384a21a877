"""Resources on this machine."""
