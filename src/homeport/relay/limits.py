"""How much patience those have who speak HTTP/1.1 to a server here, and how much they read that is no body."""

CONNECT_S = 10.0
"""A connection may take so long."""
HEAD_BYTES, FIELD_BYTES, FIELDS = 1 << 20, 64 * 1024, 1000
"""So long may the head of an answer be, or what is after its body, and a field of it, and so many fields may it have."""
