"""The Alembic spelling of a type change and of its ways back."""

from __future__ import annotations

from typing import Any

from alembic.operations import MigrateOperation, Operations

from truing.changes import (
    DIRTY_CLASSES,
    DIRTY_POLICIES,
    NIL_UUID,
    AlterColumnType,
    ContractColumnType,
    Dirty,
    DirtyClass,
    DirtyPolicy,
    Reference,
    RestoreColumnType,
    RevertColumnType,
)
from truing.errors import UnsupportedChangeError
from truing.names import parse_qualified
from truing.online.operations.convert import identity, plan_convert
from truing.online.operations.convert_back import (
    contract_identity,
    plan_contract,
    plan_restore,
    plan_revert,
    restore_identity,
    revert_identity,
)
from truing.online.operations.invoke import carry_out, qualified


@Operations.register_operation("convert_column_online")
class ConvertColumnOnlineOp(MigrateOperation):
    """Change a column's type with conversion, online."""

    def __init__(self, table: str, column: str, type_: str, options: dict[str, Any]) -> None:
        self.table, self.column, self.type, self.options = table, column, type_, options

    @classmethod
    def convert_column_online(
        cls,
        operations: Operations,
        table: str,
        column: str,
        type_: str,
        *,
        references: str | None = None,
        nullable: bool | None = None,
        dirty: dict[DirtyClass, DirtyPolicy] | DirtyPolicy = "fail",
        sentinel: str = NIL_UUID,
        parent: dict[str, str] | None = None,
        map_table: str | None = None,
        schema: str | None = None,
    ) -> None:
        """Change a column's type while the application writes; every original is kept.

        Args:
            operations: Alembic's.
            table: the table.
            column: the column.
            type_: the new type, as SQL.
            references: ``table.column`` that the converted values have to exist in; values that do not are orphans.
            nullable: whether the column may hold NULL afterwards; as before by default.
            dirty: what becomes of values without a place: a policy for every class, or one for each of ``null``,
                ``empty``, ``malformed`` and ``orphan`` (``fail`` for those not named).
            sentinel: the value of policy ``sentinel``.
            parent: the other columns of a parent row that ``sentinel`` and ``create-parent`` make.
            map_table: the table of policy ``map``, with the columns ``raw`` and ``value`` (both text).
            schema: of the table (and of ``references`` and ``map_table`` where they name none).
        """
        policies = dict.fromkeys(DIRTY_CLASSES, dirty) if isinstance(dirty, str) else dict(dirty)
        options = {
            "references": references,
            "nullable": nullable,
            "policies": policies,
            "sentinel": sentinel,
            "parent": parent or {},
            "map_table": map_table,
            "schema": schema,
        }
        operations.invoke(cls(table, column, type_, options))


@Operations.implementation_for(ConvertColumnOnlineOp)
def _convert(operations: Operations, op: ConvertColumnOnlineOp) -> None:
    options = op.options
    table = qualified(operations, op.table, options["schema"])
    for name, policy in options["policies"].items():
        if name not in DIRTY_CLASSES or policy not in DIRTY_POLICIES:
            raise UnsupportedChangeError(
                f"dirty={{{name!r}: {policy!r}}} is not known",
                hint=f"Classes: {', '.join(DIRTY_CLASSES)}. Policies: {', '.join(DIRTY_POLICIES)}.",
            )
    reference = None
    if options["references"]:
        parent, dot, column = options["references"].rpartition(".")
        if not dot:
            raise UnsupportedChangeError(f"references={options['references']!r} must be table.column")
        reference = Reference(parse_qualified(parent, table.schema), column.strip('"'))
    map_table = options["map_table"]
    change = AlterColumnType(
        table,
        op.column,
        op.type,
        nullable=options["nullable"],
        references=reference,
        dirty=Dirty(
            **options["policies"],
            sentinel=options["sentinel"],
            parent={name: str(value) for name, value in options["parent"].items()},
            map_table=parse_qualified(map_table, table.schema) if map_table else None,
        ),
    )
    carry_out(operations, identity(table, op.column), change, lambda connection: plan_convert(change, connection))


class _ColumnOp(MigrateOperation):
    """A step of a type change's way: a table and a column."""

    def __init__(self, table: str, column: str, schema: str | None) -> None:
        self.table, self.column, self.schema = table, column, schema


@Operations.register_operation("revert_column_online")
class RevertColumnOnlineOp(_ColumnOp):
    """Take a type change back."""

    @classmethod
    def revert_column_online(
        cls, operations: Operations, table: str, column: str, *, schema: str | None = None
    ) -> None:
        """Take an online type change back; originals come back to the byte.

        Args:
            operations: Alembic's.
            table: the table.
            column: the column.
            schema: of the table.
        """
        operations.invoke(cls(table, column, schema))


@Operations.implementation_for(RevertColumnOnlineOp)
def _revert(operations: Operations, op: RevertColumnOnlineOp) -> None:
    change = RevertColumnType(qualified(operations, op.table, op.schema), op.column)
    op_id = revert_identity(change.table, op.column)
    carry_out(operations, op_id, change, lambda connection: plan_revert(change, connection))


@Operations.register_operation("contract_column_online")
class ContractColumnOnlineOp(_ColumnOp):
    """Drop the old column of a type change."""

    @classmethod
    def contract_column_online(
        cls, operations: Operations, table: str, column: str, *, schema: str | None = None
    ) -> None:
        """Drop the old column of an online type change; the originals that differ are kept aside.

        Args:
            operations: Alembic's.
            table: the table.
            column: the column.
            schema: of the table.
        """
        operations.invoke(cls(table, column, schema))


@Operations.implementation_for(ContractColumnOnlineOp)
def _contract(operations: Operations, op: ContractColumnOnlineOp) -> None:
    change = ContractColumnType(qualified(operations, op.table, op.schema), op.column)
    op_id = contract_identity(change.table, op.column)
    carry_out(operations, op_id, change, lambda connection: plan_contract(change, connection))


@Operations.register_operation("restore_column_online")
class RestoreColumnOnlineOp(_ColumnOp):
    """Make the old column of a contracted type change again."""

    @classmethod
    def restore_column_online(
        cls, operations: Operations, table: str, column: str, *, schema: str | None = None
    ) -> None:
        """Make the old column of a contracted type change again, with its originals.

        Args:
            operations: Alembic's.
            table: the table.
            column: the column.
            schema: of the table.
        """
        operations.invoke(cls(table, column, schema))


@Operations.implementation_for(RestoreColumnOnlineOp)
def _restore(operations: Operations, op: RestoreColumnOnlineOp) -> None:
    change = RestoreColumnType(qualified(operations, op.table, op.schema), op.column)
    op_id = restore_identity(change.table, op.column)
    carry_out(operations, op_id, change, lambda connection: plan_restore(change, connection))
