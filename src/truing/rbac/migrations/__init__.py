"""How does a database come to the RBAC models? An Alembic script location with the branch ``rbac``.

Use it on its own (``alembic -c .../truing/rbac/migrations/alembic.ini upgrade rbac@head``), through ``truing rbac``,
or beside your own revisions: add ``truing.rbac.migrations:versions`` to your ``version_locations``.
"""
