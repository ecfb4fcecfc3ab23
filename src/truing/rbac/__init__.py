"""The multi-tenant RBAC database: its models, the way there from a legacy database, and the legacy database itself.

What flows in: a connection or the URL of a database. What comes out: tables that agree with
:mod:`truing.rbac.models`, through the Alembic branch ``rbac`` in :mod:`truing.rbac.migrations`.
"""
