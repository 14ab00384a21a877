"""Model Armor: templates, floor settings, and what it says of a text."""
