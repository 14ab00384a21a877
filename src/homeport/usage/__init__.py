"""What endpoints were used for: requests, tokens, hours. Never a prompt; who asked only where the file wants it."""
