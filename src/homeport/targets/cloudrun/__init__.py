"""Cloud Run: what is looked at before, made, and explained when it fails."""
