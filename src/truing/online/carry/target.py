"""What is being converted, and what are things called meanwhile? The column's facts go in, names and steps come out."""

from __future__ import annotations

import msgspec

from truing.locks import LockMode, TableLock
from truing.names import QualifiedName, derived, ident, literal
from truing.online.carry.rewrite import ColumnsOf, Rewriter
from truing.online.carry.scope import Changed
from truing.plan import Concurrent, Locked, Step


class Target(msgspec.Struct, frozen=True):
    """The column that is converted.

    Attributes:
        table: the table.
        column: the column's name, which stays what the application sees.
        changed: its types.
        new_column: the new column's name before the swap.
        old_column: the old column's name after the swap.
        op_id: the operation's identity.
        columns_of: the columns of any relation.
    """

    table: QualifiedName
    column: str
    changed: Changed
    new_column: str
    old_column: str
    op_id: str
    columns_of: ColumnsOf

    @property
    def column_sql(self) -> str:
        """The column, for ``COMMENT ON COLUMN`` and the like."""
        return f"{self.table.sql}.{ident(self.column)}"

    def new_name(self, name: str) -> str:
        """Name the new twin of an object before the swap (and after the way back)."""
        return derived(self.op_id, f"new_{name}")

    def old_name(self, name: str) -> str:
        """Name the old object after the swap."""
        return derived(self.op_id, f"old_{name}")

    def sibling(self, name: str) -> QualifiedName:
        """Return a name in the table's schema, where its indexes are."""
        return QualifiedName(self.table.schema, name)

    def after(self) -> Rewriter:
        """Return what rewrites definitions for the time after the swap, when the new column has the name."""
        return self._rewriter(self.changed)

    def before(self) -> Rewriter:
        """Return what rewrites definitions for the new column as long as it has a name of its own."""
        return self._rewriter(self.on_new)

    def on_old(self) -> Rewriter:
        """Return what rewrites definitions for the old column when it has given up its name."""
        return self._rewriter(self.on_old_column)

    @property
    def on_new(self) -> Changed:
        """How the column is written as long as the new one has a name of its own."""
        return msgspec.structs.replace(self.changed, name=self.new_column)

    @property
    def on_old_column(self) -> Changed:
        """How the old column is written after the swap: another name, the same type."""
        return msgspec.structs.replace(self.changed, name=self.old_column, bare=True)

    def _rewriter(self, changed: Changed) -> Rewriter:
        return Rewriter({self.table: {self.column: changed}}, self.columns_of)

    def alter(self, action: str) -> str:
        """Return an ALTER TABLE of the table."""
        return f"ALTER TABLE {self.table.sql} {action}"

    def locked(
        self, step_id: str, title: str, *statements: str, mode: LockMode = LockMode.ACCESS_EXCLUSIVE, probe: str = ""
    ) -> Step:
        """Return a step that runs statements under a short lock of the table."""
        return Step(step_id, title, Locked((TableLock(self.table, mode),), statements), probe)

    def constraint_exists(self, name: str, condition: str = "true") -> str:
        """Return a query whether the table has a constraint for which a condition over ``pg_constraint`` holds."""
        return (
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE"
            f" conrelid = pg_catalog.to_regclass({literal(self.table.sql)}) AND conname = {literal(name)}"
            f" AND {condition})"
        )


def build_index(step_id: str, title: str, index: QualifiedName, statement: str) -> Step:
    """Return the step of a CREATE INDEX CONCURRENTLY, with the removal of what a failed one leaves."""
    found = (
        f"SELECT EXISTS (SELECT FROM pg_catalog.pg_index WHERE"
        f" indexrelid = pg_catalog.to_regclass({literal(index.sql)}) AND "
    )
    complete = "indisvalid AND indisready AND indislive"
    action = Concurrent(
        statement,
        cleanup=(f"DROP INDEX CONCURRENTLY IF EXISTS {index.sql}",),
        leftover=f"{found}NOT ({complete}))",
        # An index build waits for old snapshots by design; a timeout would leave an invalid index behind.
        lock_timeout_ms=0,
    )
    return Step(step_id, title, action, f"{found}{complete})")


def drop_index(step_id: str, title: str, index: QualifiedName) -> Step:
    """Return the step of a DROP INDEX CONCURRENTLY, which is nothing where there is no such index."""
    action = Concurrent(f"DROP INDEX CONCURRENTLY IF EXISTS {index.sql}", lock_timeout_ms=0)
    return Step(step_id, title, action, f"SELECT pg_catalog.to_regclass({literal(index.sql)}) IS NULL")


def comment_on(what: str, text: str | None) -> tuple[str, ...]:
    """Return COMMENT ON ... IS ..., where there is a comment."""
    return (f"COMMENT ON {what} IS {literal(text).strip()}",) if text is not None else ()
