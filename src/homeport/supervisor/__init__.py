"""
The parent of an engine on this machine: it outlives the shell, starts the engine again, and bounds its memory.

`python -m homeport.supervisor` is told what to do by one line of JSON on its standard input, and stands in the way
of no request. It is cheap to begin: neither the command line nor pydantic nor an HTTP library is imported for it.
"""
