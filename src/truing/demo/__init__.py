"""``truing demo``: all of it, on a real database with a real application writing to it, in two minutes.

Nothing here is a mock-up: the demo builds the legacy RBAC database, starts writers and a probe as processes of their
own, and calls the same audit, upgrade and verification as the commands do.
"""
