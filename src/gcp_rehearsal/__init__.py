"""Google Cloud on this machine: an honest stand-in, driven by Google's own discovery documents."""
