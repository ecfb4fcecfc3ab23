"""Which tables are ours to migrate? An ``include_object`` for ``env.py`` that keeps other people's out of autogenerate.

It works in both directions: what the database has and the models have not would be dropped, what the models have (to
point a foreign key at it) would be created. Alembic asks for each object with its bare name; the schema stands apart
in ``object.schema``, so comparing the name with ``"auth.users"`` never matches. Whatever is hidden is logged once and
kept in :meth:`IncludeObject.hidden`.

Use it in ``env.py``::

    from truing import include_object

    context.configure(..., include_schemas=True, include_object=include_object)
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from truing.config import load_config
from truing.names import is_derived
from truing.patterns import TablePatterns, table_patterns

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

JOURNAL_SCHEMA: Final = "_truing"
"""Where truing itself keeps its journal; never part of an application."""

_log = logging.getLogger("truing.include_object")

_EXTENSION_MEMBERS: Final = """
SELECT n.nspname, c.relname FROM pg_catalog.pg_depend AS d
JOIN pg_catalog.pg_class AS c ON c.oid = d.objid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype = 'e'
"""


class Hidden(msgspec.Struct, frozen=True, order=True):
    """A table that autogenerate did not see.

    Attributes:
        schema: None for the default schema.
        name: the table.
        reason: the pattern that means it, ``an extension's table`` or ``the journal of truing``.
        side: ``database`` (it would have been dropped), ``models`` (it would have been created) or ``both`` (it
            would have been altered).
    """

    schema: str | None
    name: str
    reason: str
    side: str

    def __str__(self) -> str:
        table = self.name if self.schema is None else f"{self.schema}.{self.name}"
        where = "database and the models" if self.side == "both" else self.side
        return f"{table} in the {where} ({self.reason})"


class IncludeObject:
    """What ``context.configure(include_object=...)`` takes; see :func:`make_include_object`."""

    def __init__(self, ignore: Iterable[str] | None, connection: Connection | None) -> None:
        self._ignore = None if ignore is None else tuple(ignore)
        self._patterns: TablePatterns | None = None
        self._connection = connection
        self._members: tuple[Any, frozenset[tuple[str, str]]] | None = None
        self._hidden: dict[Hidden, None] = {}

    def __call__(
        self,
        object: Any,  # noqa: A002 - the names are Alembic's
        name: str | None,
        type_: str,
        reflected: bool,
        compare_to: Any,
    ) -> bool:
        """Tell Alembic whether an object takes part; the arguments are Alembic's."""
        # Between two revisions a converted table has its old column beside the new one, and dropping it is the contract
        # revision's business, since it holds the originals.
        if reflected and is_derived(name or ""):
            return False
        # Columns, indexes and constraints belong to a table; a table that is not attached to one is its own.
        table = object if type_ == "table" else getattr(object, "table", None)
        if table is None or not hasattr(table, "name"):
            return True
        reason = self._reason(table.schema, str(table.name))
        if reason is None:
            return True
        if type_ != "table":
            return False
        side = "both" if compare_to is not None else "database" if reflected else "models"
        hidden = Hidden(table.schema, str(table.name), reason, side)
        if hidden not in self._hidden:
            self._hidden[hidden] = None
            _log.info("hid %s", hidden)
        return False

    def hidden(self) -> tuple[Hidden, ...]:
        """Return what was hidden so far, in order."""
        return tuple(sorted(self._hidden, key=lambda each: (each.schema or "", each.name, each.side)))

    def _reason(self, schema: str | None, name: str) -> str | None:
        connection = self._bind()
        default = getattr(getattr(connection, "dialect", None), "default_schema_name", None) or "public"
        if (schema or default) == JOURNAL_SCHEMA:
            return "the journal of truing"
        pattern = self._table_patterns(default).match(schema or default, name)
        if pattern is not None:
            return f"matches {pattern.text}"
        return "an extension's table" if (schema or default, name) in self._extension_members(connection) else None

    def _table_patterns(self, default_schema: str) -> TablePatterns:
        if self._patterns is None:
            texts = load_config().unmanaged if self._ignore is None else self._ignore
            self._patterns = table_patterns(texts, (default_schema,), source="unmanaged")
        return self._patterns

    def _bind(self) -> Any:
        if self._connection is not None:
            return self._connection
        from alembic import context  # noqa: PLC0415 - env.py has loaded it; nobody else needs it

        try:
            return context.get_context().connection
        except (NameError, AttributeError):
            # Not within a run of Alembic (autogenerate called by hand): extension members cannot be known.
            return None

    def _extension_members(self, connection: Any) -> frozenset[tuple[str, str]]:
        if connection is None:
            return frozenset()
        if self._members is None or self._members[0] is not connection:
            rows = connection.exec_driver_sql(_EXTENSION_MEMBERS).all()
            self._members = (connection, frozenset((schema, name) for schema, name in rows))
        return self._members[1]


def make_include_object(ignore: Iterable[str] | None = None, *, connection: Connection | None = None) -> IncludeObject:
    """Make an ``include_object`` for ``env.py``.

    Args:
        ignore: patterns of other people's tables, as :mod:`truing.patterns` reads them; ``unmanaged`` of the
            configuration (``auth.*`` by default) when it is left out. Extension members and truing's own journal are
            hidden in any case.
        connection: the database to ask for extension members, where Alembic's ``context`` cannot tell.

    Returns:
        The callable; its ``hidden()`` says what it hid.
    """
    return IncludeObject(ignore, connection)


include_object: Final = make_include_object()
"""The one of the configuration that is found from the working directory."""


def hidden() -> tuple[Hidden, ...]:
    """Return what :data:`include_object` has hidden so far."""
    return include_object.hidden()
