"""What a model is served for: `generate` gives text, `embed` gives vectors."""

from typing import Literal

Task = Literal["generate", "embed"]
