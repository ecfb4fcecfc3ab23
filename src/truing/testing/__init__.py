"""What do people's own tests say about their database and models? One function for each kind of thing.

Each looks at the catalog (or at the configured mapper) and passes in silence, or raises an AssertionError that says
what is there instead. None depends on the position of a column, on a schema or on how a name is quoted::

    assert_column(connection, "profiles", "tenant_id", type="uuid", nullable=False)
    assert_foreign_key(connection, "profiles", ["tenant_id"], "tenants", ["id"], on_delete="CASCADE")
    assert_relationship(Profile.tenant, target="Tenant", back_populates="profiles")

The database is a psycopg 3 connection, or a Connection, Engine or Session of SQLAlchemy that uses psycopg 3. A table is
written as in SQL (``profiles``, ``app.profiles``, ``app."Profiles"``) and without a schema looked for along the search
path; columns and other names are written as they are, without quotes. What is not asked about is not looked at: ``...``
is the default everywhere, so that None can mean *none*.
"""

from __future__ import annotations

from truing.testing.indexes import assert_index, assert_unique
from truing.testing.mappers import assert_relationship
from truing.testing.place import Database
from truing.testing.tables import assert_column, assert_foreign_key, assert_primary_key

__all__ = [
    "Database",
    "assert_column",
    "assert_foreign_key",
    "assert_index",
    "assert_primary_key",
    "assert_relationship",
    "assert_unique",
]
