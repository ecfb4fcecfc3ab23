"""What a PostgreSQL database is, read from its catalog: nothing here writes, and nothing needs a superuser.

``model`` holds the values, ``read`` fetches them in bulk, ``dependents`` answers what hangs on a column, ``diff``
compares two snapshots and ``blockers`` says what would keep a lock waiting now.
"""
