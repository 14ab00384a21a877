"""An agent as an HTTP service: OpenAI's chat completions, an A2A interface with its card, and a door before them."""
