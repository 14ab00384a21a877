"""What endpoints were used for: requests, tokens, hours. Never a prompt, nor who asked."""
