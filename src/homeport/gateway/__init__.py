"""
What stands in the path of requests: it screens what goes to a model and what comes back, and counts what passes.

    app = GatewayApp(endpoint, screener=Screener(LocalScreen(), GatewaySettings(screen="local")))

Every text of every API that is known (`apis`) is put before a screen (`screens/`) before it goes on, both ways; what is
not known is refused. An answer that comes in pieces is held back by a window (`holding`). Where a text could not be screened
it is refused, with a reason that says why (`verdict`). What passes is counted (`metrics`).
"""
