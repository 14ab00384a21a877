"""One module for each kind of thing that can exist."""
