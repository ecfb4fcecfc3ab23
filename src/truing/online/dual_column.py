"""The two columns of a type change: their names, and the triggers that keep one in step with the other.

Before the swap the new column follows the old one (*forward*); after it the old one follows the new (*reverse*), but
only where the value changes, so that every original text survives what the application does to the rest of its row.
After the contract only a *residue* of originals is kept: those that the new value cannot be turned back into.

A forward trigger that raised would be an outage of the application, so its function never does. The triggers are the
last to fire on a row (their name sorts last), fire for replication too (ENABLE ALWAYS), and compare texts byte by byte
in WHEN, since ``UPDATE OF column`` does not see what an earlier trigger changes.
"""

from __future__ import annotations

from hashlib import sha256

import msgspec

from truing.names import QualifiedName, body, derived, ident, literal
from truing.online.conversion import PINNED, is_text
from truing.online.facts import RowKey
from truing.online.journal import SCHEMA
from truing.online.quarantine import same_key


class DualColumn(msgspec.Struct, frozen=True):
    """The names of one type change; the same change has the same names in every run.

    Attributes:
        op_id: the operation.
        table: the table.
        column: the column, as the application knows it.
        source_type: its type before.
        target_type: its type afterwards.
        key: the columns of the row's key.
        key_types: their types.
        collation: the column's collation, quoted, where it is not its type's own.
    """

    op_id: str
    table: QualifiedName
    column: str
    source_type: str
    target_type: str
    key: tuple[str, ...]
    key_types: tuple[str, ...]
    collation: str = ""

    @property
    def old_collation(self) -> str:
        """The COLLATE clause of the old column, when it is made again."""
        return f" COLLATE {self.collation}" if self.collation else ""

    @property
    def new_collation(self) -> str:
        """The COLLATE clause of the new column: that of the old one, where its type has collations at all."""
        return self.old_collation if is_text(self.target_type) else ""

    @property
    def tag(self) -> str:
        """Eight hexadecimal digits that all names have in common."""
        return sha256(self.op_id.encode()).hexdigest()[:8]

    @property
    def new(self) -> str:
        """The new column, before the swap."""
        return derived(self.op_id, self.column)

    @property
    def old(self) -> str:
        """The old column, after the swap."""
        return derived(self.op_id, "old")

    @property
    def check(self) -> str:
        """The CHECK that proves a column to hold no NULL."""
        return derived(self.op_id, "not_null")

    @property
    def function(self) -> str:
        """The prefix of this change's functions, qualified."""
        return f"{SCHEMA}.c_{self.tag}"

    @property
    def residue(self) -> str:
        """The table of originals after the contract, qualified."""
        return f"{SCHEMA}.residue_{self.tag}"

    @property
    def row_key(self) -> RowKey:
        """The row's key."""
        return RowKey((self.key, self.key_types))

    @property
    def mark(self) -> str:
        """The statement that marks a transaction as a pass of truing's own."""
        return f"SET LOCAL truing.backfill = {literal(self.tag)};"

    def keys(self, alias: str = "t") -> str:
        """Return the key's columns with an alias."""
        return ", ".join(f"{alias}.{ident(column)}" for column in self.key)

    def differs(self, column: str) -> str:
        """Return the trigger condition that a column changes, byte by byte."""
        name = ident(column)
        return f'(OLD.{name})::text COLLATE "C" IS DISTINCT FROM (NEW.{name})::text COLLATE "C"'

    def forward(self) -> tuple[str, ...]:
        """Return the statements that make the new column follow the old one; the column must be there."""
        new, raw = ident(self.new), ident(self.column)
        source = (
            "BEGIN\n"
            # Our own pass changes one column. What other BEFORE triggers did to the row meanwhile (an updated_at)
            # must not stay: this trigger is the last, and hands back the row as it was.
            f"IF TG_OP = 'UPDATE' AND current_setting('truing.backfill', true) = {literal(self.tag)} THEN\n"
            f"OLD.{new} := NEW.{new}; RETURN OLD;\nEND IF;\n"
            f"NEW.{new} := {self.function}_convert(NEW.{raw});\nRETURN NEW;\nEND"
        )
        when = f"{self.differs(self.column)} OR NEW.{new} IS NULL OR {self.differs(self.new)}"
        return (_function(f"{self.function}_forward", source), *self._triggers(f"{self.function}_forward", when))

    def reverse(self) -> tuple[str, ...]:
        """Return the statements that make the old column follow the new one, which has the column's name by now."""
        old, raw = ident(self.old), ident(self.column)
        source = f"BEGIN\nNEW.{old} := NEW.{raw}::{self.source_type};\nRETURN NEW;\nEND"
        function = f"{self.function}_reverse"
        return (_function(function, source), *self._triggers(function, self.differs(self.column)))

    def restoring(self) -> tuple[str, ...]:
        """Return the statements that make a re-added old column follow while it is filled from the residue."""
        old, raw = ident(self.old), ident(self.column)
        source = (
            "BEGIN\n"
            f"IF TG_OP = 'UPDATE' AND current_setting('truing.backfill', true) = {literal(self.tag)} THEN\n"
            f"OLD.{old} := NEW.{old}; RETURN OLD;\nEND IF;\n"
            f"NEW.{old} := NEW.{raw}::{self.source_type};\nRETURN NEW;\nEND"
        )
        when = f"{self.differs(self.column)} OR {self.differs(self.old)}"
        function = f"{self.function}_restore"
        return (_function(function, source), *self._triggers(function, when))

    def _triggers(self, function: str, when: str) -> tuple[str, ...]:
        target = self.table.sql
        return (
            f"CREATE TRIGGER {self.trigger('i')} BEFORE INSERT ON {target} FOR EACH ROW EXECUTE FUNCTION {function}()",
            (
                f"CREATE TRIGGER {self.trigger('u')} BEFORE UPDATE ON {target} FOR EACH ROW WHEN ({when})"
                f" EXECUTE FUNCTION {function}()"
            ),
            (
                f"ALTER TABLE {target} ENABLE ALWAYS TRIGGER {self.trigger('i')},"
                f" ENABLE ALWAYS TRIGGER {self.trigger('u')}"
            ),
        )

    def trigger(self, suffix: str) -> str:
        """Return a trigger's name; ``zzzz`` sorts it behind everybody else's."""
        return f"zzzz_truing_{self.tag}_{suffix}"

    def drop_triggers(self, *suffixes: str) -> tuple[str, ...]:
        """Return the statements that drop triggers of this change."""
        return tuple(f"DROP TRIGGER IF EXISTS {self.trigger(s)} ON {self.table.sql}" for s in suffixes or ("i", "u"))

    def drop_functions(self) -> str:
        """Return the statement that drops every function of this change."""
        row_type = f"{self.function}_convert({self.source_type}), {self.function}_valid(text)"
        rest = ", ".join(f"{self.function}_{name}()" for name in ("forward", "reverse", "restore", "forget"))
        return f"DROP FUNCTION IF EXISTS {row_type}, {rest}"

    # -- after the contract ---------------------------------------------------------------------------------------

    def residue_table(self) -> tuple[str, ...]:
        """Return the statements that make the residue, and the triggers that forget what is no longer true.

        Without them a value that changes away and back, or a key that is used again, would get another row's text.
        """
        columns = ", ".join(f"{ident(c)} {t} NOT NULL" for c, t in zip(self.key, self.key_types, strict=True))
        key = ", ".join(map(ident, self.key))
        source = (
            f"BEGIN\nDELETE FROM {self.residue} r WHERE "
            + " AND ".join(f"r.{ident(c)} = OLD.{ident(c)}" for c in self.key)
            + ";\nRETURN NULL;\nEND"
        )
        changed = " OR ".join(self.differs(column) for column in (self.column, *self.key))
        target, call = self.table.sql, f"FOR EACH ROW EXECUTE FUNCTION {self.function}_forget()"
        when = f"FOR EACH ROW WHEN ({changed}) EXECUTE FUNCTION {self.function}_forget()"
        return (
            (
                f"CREATE TABLE {self.residue} ({columns}, __truing_old {self.source_type},"
                f" __truing_new {self.target_type}, PRIMARY KEY ({key}))"
            ),
            _function(f"{self.function}_forget", source),
            f"CREATE TRIGGER {self.trigger('d')} AFTER DELETE ON {target} {call}",
            f"CREATE TRIGGER {self.trigger('k')} AFTER UPDATE ON {target} {when}",
            (
                f"ALTER TABLE {target} ENABLE ALWAYS TRIGGER {self.trigger('d')},"
                f" ENABLE ALWAYS TRIGGER {self.trigger('k')}"
            ),
        )

    @property
    def lossy(self) -> str:
        """The condition over ``t`` that the old text cannot be had from the new value."""
        return (
            f'(t.{ident(self.old)})::text COLLATE "C" IS DISTINCT FROM'
            f' (t.{ident(self.column)}::{self.source_type})::text COLLATE "C"'
        )

    def archive(self, rows: str) -> str:
        """Return the statement that puts originals into the residue.

        Args:
            rows: a query of the rows ``t``, locked, so that none changes between the look and the entry.
        """
        values = f"{self.keys('l')}, l.{ident(self.old)}, l.{ident(self.column)}"
        key = ", ".join(map(ident, self.key))
        return (
            f"WITH l AS MATERIALIZED ({rows}) INSERT INTO {self.residue} SELECT {values} FROM l"
            f" ON CONFLICT ({key}) DO UPDATE SET __truing_old = excluded.__truing_old,"
            " __truing_new = excluded.__truing_new"
        )

    @property
    def original(self) -> str:
        """The expression over ``t`` of the text to restore: from the residue where it is still true."""
        raw = ident(self.column)
        return (
            f"CASE WHEN EXISTS (SELECT FROM {self.residue} r WHERE {same_key(self.row_key, 'r', 't')}"
            f" AND r.__truing_new IS NOT DISTINCT FROM t.{raw})"
            f" THEN (SELECT r.__truing_old FROM {self.residue} r WHERE {same_key(self.row_key, 'r', 't')})"
            f" ELSE t.{raw}::{self.source_type} END"
        )


def _function(name: str, source: str) -> str:
    """Return a trigger function that sees our tables whoever fires it, and nobody else's functions."""
    return (
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER"
        f" SET search_path = pg_catalog, pg_temp{PINNED} AS {body(source)}"
    )
