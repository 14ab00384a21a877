"""
What an engine learned by its first start, kept for the next ones: by what it is known, and how it is written and restored.

`script` stands alone: it runs in the engine's container, where homeport is not installed.
"""
