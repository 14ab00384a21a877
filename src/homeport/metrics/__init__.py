"""What engines tell of their work: figures of one moment, and what happened between two."""
