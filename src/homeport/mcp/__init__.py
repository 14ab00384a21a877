"""
homeport as tools for a coding agent: an MCP server on standard input and output, or on a port of loopback.

`output` and `work` know nothing of MCP; all else needs the extra `homeport[agents]`, and is imported when it is used.
"""
