"""Who judges a text: Google's Model Armor, or a few patterns on this machine."""
