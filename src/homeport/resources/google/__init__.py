"""Resources of Google Cloud, one module per kind."""
