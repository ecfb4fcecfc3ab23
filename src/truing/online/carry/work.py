"""How is each dependent carried? Walks them from the table upwards, tries each, and collects what stands in the way.

Works inside the transaction of :func:`truing.online.carry.survey.survey`, which is rolled back.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any, Final

import msgspec
import psycopg
from psycopg.rows import tuple_row

from truing.catalog.dependent import Dependent, DependentKind
from truing.catalog.model import Constraint, Index, Policy, Sequence, Statistic, Table, Trigger, View
from truing.errors import SqlSyntaxError, UnsupportedChangeError
from truing.names import QualifiedName, ident
from truing.online.carry import checks, columns, indexes, policies, refusals, statements, statistics, triggers, views
from truing.online.carry.columns import ConvertDefault
from truing.online.carry.grants import AccessList, read_access
from truing.online.carry.model import Part, Refusal
from truing.online.carry.rehearse import Rehearsal
from truing.online.carry.rewrite import Rewriter
from truing.online.carry.scope import Changed, UnclearNameError, means_the_same
from truing.online.carry.target import Target
from truing.online.carry.views import CarriedView
from truing.online.carry.ways import Changes, Way, choose_way
from truing.online.facts import RowKey, row_key

OWN_TRIGGERS: Final = "zzzz_truing_"
"""How the names of the triggers begin that keep two columns in sync; the operation itself drops them."""

_ORDER: Final[tuple[DependentKind, ...]] = ("default", "sequence", "index", "unique", "check", "statistics", "trigger")
"""The kinds that change nothing but the table; views come after them, and policies, which may read views, last."""

_ADVICE: Final = "Drop it before and make it again afterwards, in revisions of their own"


class Work:
    """One survey.

    Attributes:
        target: what is converted.
        refusals: what stands in the way, as far as is known yet.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        table: Table,
        column: str,
        new_type: str,
        new_column: str,
        old_column: str,
        op_id: str,
        convert_default: ConvertDefault | None,
    ) -> None:
        self._connection, self._table, self._convert = connection, table, convert_default
        self._column = next(found for found in table.columns if found.name == column)
        self._powers = refusals.Powers(connection)
        self._rehearsal = Rehearsal(connection)
        self._names = (new_column, old_column)
        changed = Changed(self._column.type, new_type, self._column.collation)
        self.target = Target(table.name, column, changed, new_column, old_column, op_id, cache(self._columns_of))
        self.refusals: list[Refusal] = []
        self._row_functions = self._returning_rows()

    def _returning_rows(self) -> frozenset[QualifiedName]:
        """Find the functions whose results are rows of the table."""
        rows = self._connection.cursor(row_factory=tuple_row).execute(
            "SELECT n.nspname, p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
            " JOIN pg_class c ON c.reltype = p.prorettype WHERE c.oid = %s::regclass",
            (self._table.name.sql,),
        )
        return frozenset(QualifiedName(*row) for row in rows.fetchall())

    def _columns_of(self, relation: QualifiedName) -> tuple[str, ...] | None:
        rows = self._connection.cursor(row_factory=tuple_row).execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped"
            " ORDER BY attnum",
            (relation.sql,),
        )
        names = tuple(row[0] for row in rows.fetchall())
        if relation == self._table.name:
            names = tuple(name for name in names if name not in self._names)
        return names or None

    # -- what stands in the way ----------------------------------------------------------------------------------------

    def refused(self, dependents: tuple[Dependent, ...]) -> bool:
        """Collect what can be refused without trying anything; tell whether there is any."""
        found = refusals.table_refused(self._powers, self._table)
        for dependent in dependents:
            if dependent.kind == "trigger" and dependent.name.startswith(OWN_TRIGGERS):
                continue
            reason = refusals.refused(dependent)
            found += [reason] if reason is not None else self._owner(dependent)
        self.refusals += list(dict.fromkeys(found))
        return bool(self.refusals)

    def _owner(self, dependent: Dependent) -> list[Refusal]:
        subject, detail = refusals.subject_of(dependent), dependent.detail
        if isinstance(detail, View):
            return refusals.view_refused(self._powers, detail)
        if isinstance(detail, Statistic | Sequence):
            return refusals.owner_refused(self._powers, subject, detail.owner)
        if dependent.kind == "policy" and dependent.table is not None:
            owner = self._owner_of(dependent.table)
            return refusals.owner_refused(self._powers, subject, owner)
        return []

    def _owner_of(self, relation: QualifiedName) -> str:
        query = "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = %s::regclass"
        row = self._connection.cursor(row_factory=tuple_row).execute(query, (relation.sql,)).fetchone()
        return str(row[0]) if row else ""

    def _grantors(self, subject: str, access: AccessList, schema: str) -> None:
        """Refuse privileges that were given by roles which cannot give them again."""
        for role in sorted(access.grantors):
            if not self._powers.may_become(role):
                who = ident(self._powers.role)
                self._refuse(
                    subject,
                    f"role {ident(role)}, whom {who} cannot act for, granted privileges on it",
                    f"Revoke them, or GRANT {ident(role)} TO {who}",
                )
            elif not self._powers.may_use(role, schema):
                self._refuse(
                    subject,
                    f"role {ident(role)} granted privileges on it, but may not use schema {ident(schema)} any more",
                    f"GRANT USAGE ON SCHEMA {ident(schema)} TO {ident(role)}, or revoke what it granted",
                )

    def _refuse(self, subject: str, why: str, advice: str = _ADVICE) -> None:
        self.refusals.append(Refusal(subject, why, advice))

    # -- how each is carried -------------------------------------------------------------------------------------------

    def parts(self, dependents: tuple[Dependent, ...]) -> tuple[Part, ...]:
        """Carry every dependent; what cannot be is added to ``refusals``."""
        if not self._copy():
            return ()
        parts = [self._properties()]
        of_table = [d for d in dependents if d.kind in _ORDER and not d.name.startswith(OWN_TRIGGERS)]
        of_table.sort(key=lambda d: _ORDER.index(d.kind))
        parts += [self._tried(dependent, partial(self._of_table, dependent)) for dependent in of_table]
        changes: Changes = {self.target.table: {self.target.column: self.target.changed}}
        carried = self._views([d.detail for d in dependents if isinstance(d.detail, View)], changes)
        rewriter = Rewriter(changes, self.target.columns_of)
        of_policy = [dependent for dependent in dependents if dependent.kind == "policy"]
        parts += [self._tried(dependent, partial(self._policy, dependent, rewriter)) for dependent in of_policy]
        return (*parts, views.carry_views(carried, self._powers.role))

    def _copy(self) -> bool:
        target = self.target
        try:
            with self._connection.transaction():
                new_type = self._rehearsal.copy_table(self._table, target.column, target.changed.new_type, self._names)
        except psycopg.Error as error:
            self._refuse(f"table {target.table.sql}", f"it cannot be copied: {error.diag.message_primary}", "Mend that")
            return False
        old, collation = self._column.type, self._column.collation
        changed = Changed(old, new_type, collation, bare=collation is None and means_the_same(old, new_type))
        self.target = msgspec.structs.replace(target, changed=changed)
        return True

    def _tried(self, dependent: Dependent, make: Callable[[], Part]) -> Part:
        try:
            return make()
        except (UnclearNameError, SqlSyntaxError) as error:
            self._refuse(refusals.subject_of(dependent), error.message)
        except RecursionError:
            self._refuse(refusals.subject_of(dependent), "its expression is nested too deeply")
        return Part()

    def _properties(self) -> Part:
        access = read_access(self._connection, self._table.name, self._table.owner)
        own = msgspec.structs.replace(
            access, entries=tuple(entry for entry in access.entries if entry.column == self._column.name)
        )
        self._grantors(f"column {self.target.column_sql}", own, self.target.table.schema)
        return columns.carry_properties(self.target, self._column, own, self._powers.role)

    def _of_table(self, dependent: Dependent) -> Part:
        target, detail = self.target, dependent.detail
        match detail:
            case Index():
                return self._index(dependent, detail)
            case Constraint():
                return self._constraint(dependent, detail)
            case Statistic():
                self._judge(dependent, self._rehearsal.statistics(target, detail))
                return statistics.carry_statistics(target, detail, self._powers.role)
            case Trigger():
                self._judge(dependent, self._rehearsal.trigger(target, detail))
                return triggers.carry_trigger(target, detail)
            case Sequence():
                return columns.carry_sequence(target, detail)
            case _:
                return self._default(dependent)

    def _constraint(self, dependent: Dependent, constraint: Constraint) -> Part:
        target = self.target
        if dependent.index is not None:
            self._judge(dependent, self._rehearsal.index(target, dependent.index))
            return indexes.carry_unique(target, constraint, dependent.index)
        expression = checks.new_expression(target, constraint)
        self._judge(dependent, self._rehearsal.condition(expression, target.table))
        return checks.carry_check(target, constraint, self._key())

    def _key(self) -> RowKey | None:
        try:
            return row_key(self._table)
        except UnsupportedChangeError:
            return None

    def _judge(self, dependent: Dependent, error: str) -> None:
        """Refuse a dependent for which PostgreSQL has no use, with its own words."""
        if error:
            self._refuse(refusals.subject_of(dependent), f"PostgreSQL would not take it: {error}")

    def _index(self, dependent: Dependent, index: Index) -> Part:
        error = self._rehearsal.index(self.target, index)
        plain = indexes.plain_elements(self.target, index)
        if not error or not plain:
            self._judge(dependent, error)
            return indexes.carry_index(self.target, index)
        # An operator class or collation that only the old type has: index the old type's value.
        self._judge(dependent, self._rehearsal.index(self.target, index, plain))
        return indexes.carry_index(self.target, index, plain)

    def _default(self, dependent: Dependent) -> Part:
        target, old = self.target, dependent.definition
        try:
            with self._connection.transaction():
                new = columns.converted_default(self._connection, old, target.changed.new_type, self._convert)
        except psycopg.Error as error:
            self._judge(dependent, str(error.diag.message_primary))
            return Part()
        if new is not None:
            self._judge(dependent, self._rehearsal.default(target.column, new, target.table))
        return columns.carry_default(target, old, new)

    def _views(self, found: list[View], changes: Changes) -> tuple[CarriedView, ...]:
        """Carry views, each after those it reads; adds the columns that change in them to ``changes``."""
        carried = []
        for view in found:
            reason = statements.by_position(view.definition, self.target.table, self._row_functions)
            if reason:
                self._refuse(f"view {view.name.sql}", reason, "Let it name the columns themselves")
                continue
            way = choose_way(self._rehearsal, view, changes, self.target.columns_of)
            if isinstance(way, Refusal):
                self.refusals.append(way)
                continue
            if way.changed:
                changes[view.name] = way.changed
            access = read_access(self._connection, view.name, view.owner)
            self._grantors(f"view {view.name.sql}", access, view.name.schema)
            carried.append(CarriedView(view, access, way.query, way.changed, self._view_defaults(view, way), way.how))
        return tuple(carried)

    def _view_defaults(self, view: View, way: Way) -> dict[str, str]:
        defaults = {}
        for column in view.columns:
            changed = way.changed.get(column.name)
            if changed is not None and column.default is not None:
                new = f"({column.default})::{changed.new_type}"
                error = self._rehearsal.default(column.name, new, view.name)
                if error:
                    self._refuse(
                        f"default of {view.name.sql}.{ident(column.name)}", f"PostgreSQL would not take it: {error}"
                    )
                defaults[column.name] = new
        return defaults

    def _policy(self, dependent: Dependent, rewriter: Rewriter) -> Part:
        policy, table = dependent.detail, dependent.table
        if not isinstance(policy, Policy) or table is None:  # pragma: no cover - every policy has both
            return Part()
        for text in (policy.using, policy.check):
            reason = statements.by_position(f"SELECT {text}", self.target.table, self._row_functions) if text else ""
            if reason:
                raise UnclearNameError(reason)
            expression = policies.new_expression(rewriter, text, table)
            if expression is not None:
                self._judge(dependent, self._rehearsal.condition(expression, table))
        return policies.carry_policy(
            rewriter, policy, table, converted=self.target.table, reads_view=bool(dependent.via)
        )
