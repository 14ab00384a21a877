"""What is checked, one module per subject."""
