"""Switch row-level security on while the application works, and off again.

Before: ``op.execute("ALTER TABLE t ENABLE ROW LEVEL SECURITY")`` shows nobody anything until the policies are there,
and waits for its lock with everybody behind it. After: ``op.enable_row_security_online("t", [...])`` makes the policies
first, and with them one that shows everything (``truing_transition``), all in one short transaction: nothing changes
for anybody. ``op.finish_row_security_online("t")`` (in the next revision) drops that one, so that the policies decide,
and has them hold for the table's owner as well.

A table that has row-level security already gets no transition: its policies go on deciding, beside the new ones.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import psycopg
from alembic.operations import MigrateOperation, Operations

from truing.catalog.model import Policy, Table
from truing.changes import DisableRowSecurity, EnableRowSecurity, FinishRowSecurity, RowPolicy
from truing.errors import UnsupportedChangeError
from truing.locks import LockMode, TableLock
from truing.names import QualifiedName, ident, idents
from truing.online.facts import require_table
from truing.online.operations.invoke import carry_out, qualified
from truing.online.run import Planned
from truing.plan import Locked, Plan, Step

TRANSITION: Final = "truing_transition"
"""The policy that shows everything until the transition is over."""

_TRANSITION: Final = RowPolicy(TRANSITION, check="true")


def identity(table: QualifiedName) -> str:
    """Return the identity of switching it on."""
    return f"enable row security on {table.sql}"


def create(policy: RowPolicy, target: str) -> str:
    """Return ``CREATE POLICY`` for a table (SQL)."""
    roles = f" TO {idents(policy.roles)}" if policy.roles else ""
    using = "" if policy.command == "INSERT" else f" USING ({policy.using})"
    check = f" WITH CHECK ({policy.check})" if policy.check is not None else ""
    return f"CREATE POLICY {ident(policy.name)} ON {target} FOR {policy.command}{roles}{using}{check}"


def plan_enable(change: EnableRowSecurity, connection: psycopg.Connection[Any]) -> Planned | None:
    """Plan the policies and the transition; None where they are there.

    Raises:
        UnsupportedChangeError: a role or column that a policy names is missing, or another policy has its name.
    """
    table = require_table(connection, change.table)
    present = {policy.name: policy for policy in table.policies}
    wanted = {policy.name: policy for policy in _printed(change, table, connection)}
    for name, policy in wanted.items():
        if name in present and msgspec.structs.replace(present[name], comment=None) != policy:
            raise UnsupportedChangeError(
                f"{table.name} has another policy of the name {name}: USING ({present[name].using})",
                hint="Drop or rename it first.",
            )
    missing = [policy for policy in change.policies if policy.name not in present]
    if not missing and table.row_security:
        return None
    target = table.name.sql
    made = [create(policy, target) for policy in missing]
    if not table.row_security:
        made += [] if TRANSITION in present else [create(_TRANSITION, target)]
        made.append(f"ALTER TABLE {target} ENABLE ROW LEVEL SECURITY")
    notes = () if table.row_security else (f"until the transition is over, {TRANSITION} shows everybody every row",)
    return _plan(identity(table.name), f"Row security on {table.name}", table, made, notes=notes)


def plan_finish(change: FinishRowSecurity, connection: psycopg.Connection[Any]) -> Planned | None:
    """Plan the end of the transition; None where it is over.

    Raises:
        UnsupportedChangeError: row-level security is off.
    """
    table = require_table(connection, change.table)
    if not table.row_security:
        raise UnsupportedChangeError(
            f"row security is off on {table.name}", hint="Use op.enable_row_security_online first."
        )
    target = f"ALTER TABLE {table.name.sql}"
    shown = any(policy.name == TRANSITION for policy in table.policies)
    done = [f"DROP POLICY {TRANSITION} ON {table.name.sql}"] if shown else []
    if change.force != table.force_row_security:
        done.append(f"{target} {'' if change.force else 'NO '}FORCE ROW LEVEL SECURITY")
    if not done:
        return None
    return _plan(f"finish row security on {table.name.sql}", f"Policies decide on {table.name}", table, done)


def plan_disable(change: DisableRowSecurity, connection: psycopg.Connection[Any]) -> Planned | None:
    """Plan the way back; None where it is done."""
    table = require_table(connection, change.table)
    target = table.name.sql
    goes = {*change.policies, TRANSITION}
    done = [f"ALTER TABLE {target} NO FORCE ROW LEVEL SECURITY"] if table.force_row_security else []
    if table.row_security and not change.keep:
        # Before the policies go, or nobody would see anything for a moment.
        done.append(f"ALTER TABLE {target} DISABLE ROW LEVEL SECURITY")
    done += [f"DROP POLICY {ident(policy.name)} ON {target}" for policy in table.policies if policy.name in goes]
    if not done:
        return None
    op_id, title = f"disable row security on {target}", f"Row security off on {table.name}"
    return _plan(op_id, title, table, done, undoes=identity(table.name))


def _plan(
    op_id: str, title: str, table: Table, statements: list[str], *, notes: tuple[str, ...] = (), undoes: str = ""
) -> Planned:
    locks = (TableLock(table.name, LockMode.ACCESS_EXCLUSIVE),)
    step = Step("policies", title, Locked(locks, tuple(statements)))
    return Plan(op_id, title, table.name, (step,), notes=notes, undoes=undoes), {}


def _printed(change: EnableRowSecurity, table: Table, connection: psycopg.Connection[Any]) -> tuple[Policy, ...]:
    """Return the policies as PostgreSQL prints them, from an empty copy in a transaction that is rolled back."""
    copy = QualifiedName("pg_temp", table.name.name).sql
    connection.execute(f"BEGIN; CREATE TEMPORARY TABLE {copy} (LIKE {table.name.sql}) ON COMMIT DROP")
    try:
        for policy in change.policies:
            connection.execute(create(policy, copy))
        rows = connection.execute(
            "SELECT polname, CASE polcmd WHEN '*' THEN 'ALL' WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT'"
            " WHEN 'w' THEN 'UPDATE' ELSE 'DELETE' END, ARRAY(SELECT s.n FROM (SELECT CASE r WHEN 0 THEN 'public'"
            ' ELSE pg_get_userbyid(r)::text END AS n FROM unnest(polroles) r) s ORDER BY s.n COLLATE "C"),'
            " pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid) FROM pg_policy"
            " WHERE polrelid = %s::regclass",
            (copy,),
        ).fetchall()
    except psycopg.ProgrammingError as error:
        raise UnsupportedChangeError(
            f"PostgreSQL refuses a policy on {table.name}: {error.diag.message_primary}"
        ) from error
    finally:
        connection.execute("ROLLBACK")
    return tuple(
        Policy(name=name, command=command, roles=tuple(roles), using=using, check=check)
        for name, command, roles, using, check in rows
    )


@Operations.register_operation("enable_row_security_online")
class EnableRowSecurityOnlineOp(MigrateOperation):
    """Switch row-level security on without hiding anything yet."""

    def __init__(self, table: str, policies: tuple[RowPolicy, ...], schema: str | None) -> None:
        self.table, self.policies, self.schema = table, policies, schema

    @classmethod
    def enable_row_security_online(
        cls, operations: Operations, table: str, policies: list[dict[str, Any]], *, schema: str | None = None
    ) -> None:
        """Make policies and switch row-level security on, with a policy that shows everything for the transition.

        Args:
            operations: Alembic's.
            table: the table.
            policies: each with ``name``, ``roles`` (a list; everybody without), ``using``, ``check`` and ``command``;
                names in their expressions are qualified.
            schema: of the table.

        Raises:
            UnsupportedChangeError: a policy has a key that none has.
        """
        try:
            made = tuple(msgspec.convert(policy, RowPolicy, strict=False) for policy in policies)
            unknown = {key for policy in policies for key in policy} - set(RowPolicy.__struct_fields__)
        except msgspec.ValidationError as error:
            raise UnsupportedChangeError(f"not a policy: {error}") from error
        if unknown:
            known = ", ".join(RowPolicy.__struct_fields__)
            raise UnsupportedChangeError(f"a policy has no {', '.join(sorted(unknown))}", hint=f"It has {known}.")
        operations.invoke(cls(table, made, schema))


@Operations.implementation_for(EnableRowSecurityOnlineOp)
def _enable(operations: Operations, op: EnableRowSecurityOnlineOp) -> None:
    change = EnableRowSecurity(qualified(operations, op.table, op.schema), op.policies)
    carry_out(operations, identity(change.table), change, lambda connection: plan_enable(change, connection))


@Operations.register_operation("finish_row_security_online")
class FinishRowSecurityOnlineOp(MigrateOperation):
    """Let the policies decide."""

    def __init__(self, table: str, schema: str | None, *, force: bool) -> None:
        self.table, self.force, self.schema = table, force, schema

    @classmethod
    def finish_row_security_online(
        cls, operations: Operations, table: str, *, force: bool = True, schema: str | None = None
    ) -> None:
        """Drop the policy of the transition, so that the others decide.

        Args:
            operations: Alembic's.
            table: the table.
            force: have them hold for the table's owner too.
            schema: of the table.
        """
        operations.invoke(cls(table, schema, force=force))


@Operations.implementation_for(FinishRowSecurityOnlineOp)
def _finish(operations: Operations, op: FinishRowSecurityOnlineOp) -> None:
    change = FinishRowSecurity(qualified(operations, op.table, op.schema), op.force)
    op_id = f"finish row security on {change.table.sql}"
    carry_out(operations, op_id, change, lambda connection: plan_finish(change, connection))


@Operations.register_operation("disable_row_security_online")
class DisableRowSecurityOnlineOp(MigrateOperation):
    """Drop policies and switch row-level security off."""

    def __init__(self, table: str, policies: tuple[str, ...], schema: str | None, *, keep: bool) -> None:
        self.table, self.policies, self.keep, self.schema = table, policies, keep, schema

    @classmethod
    def disable_row_security_online(
        cls, operations: Operations, table: str, policies: list[str], *, keep: bool = False, schema: str | None = None
    ) -> None:
        """Drop policies, and switch row-level security off.

        Args:
            operations: Alembic's.
            table: the table.
            policies: the names of those that go; the transition's goes with them.
            keep: leave it on, for a table that had it before with policies of its own.
            schema: of the table.
        """
        operations.invoke(cls(table, tuple(policies), schema, keep=keep))


@Operations.implementation_for(DisableRowSecurityOnlineOp)
def _disable(operations: Operations, op: DisableRowSecurityOnlineOp) -> None:
    change = DisableRowSecurity(qualified(operations, op.table, op.schema), op.policies, op.keep)
    op_id = f"disable row security on {change.table.sql}"
    carry_out(operations, op_id, change, lambda connection: plan_disable(change, connection))
