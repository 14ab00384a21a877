"""IAM: service accounts, roles, tokens."""
