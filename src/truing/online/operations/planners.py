"""From a recorded change to the plan it would have now: for previews, and to see afterwards that nothing is left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg

from truing.changes import (
    AddCheck,
    AddColumn,
    AddForeignKey,
    AddUnique,
    AlterColumnType,
    AnyChange,
    ContractColumnType,
    CreateIndex,
    DisableRowSecurity,
    DropColumn,
    DropConstraint,
    DropIndex,
    DropNotNull,
    EnableRowSecurity,
    FinishRowSecurity,
    RestoreColumnType,
    RevertColumnType,
    SetNotNull,
)
from truing.online.operations import (
    check,
    column,
    convert,
    convert_back,
    foreign_key,
    index,
    not_null,
    row_security,
    unique,
)
from truing.online.run import Planned

Planner = Callable[[Any, psycopg.Connection[Any]], Planned | None]

_BY_OPERATION: dict[str, Planner] = {
    "drop_check_online": check.plan_drop,
    "drop_unique_online": unique.plan_drop,
    "finish_column_online": column.plan_finish,
}
_BY_CHANGE: dict[type, Planner] = {
    AddCheck: check.plan_add,
    AddColumn: column.plan_add,
    AddForeignKey: foreign_key.plan_add,
    AddUnique: unique.plan_add,
    AlterColumnType: convert.plan_convert,
    ContractColumnType: convert_back.plan_contract,
    CreateIndex: index.plan_create,
    DisableRowSecurity: row_security.plan_disable,
    DropColumn: column.plan_drop,
    DropConstraint: foreign_key.plan_drop,
    DropIndex: index.plan_drop,
    DropNotNull: not_null.plan_drop,
    EnableRowSecurity: row_security.plan_enable,
    FinishRowSecurity: row_security.plan_finish,
    RestoreColumnType: convert_back.plan_restore,
    RevertColumnType: convert_back.plan_revert,
    SetNotNull: not_null.plan_set,
}


def planner_of(operation: str | None, change: AnyChange) -> Planner | None:
    """Find what plans a change that an online operation stands for.

    Args:
        operation: the operation's name, for example ``drop_check_online``.
        change: what it asks for.

    Returns:
        The planner; None for operations that run given statements.
    """
    return _BY_OPERATION.get(operation or "") or _BY_CHANGE.get(type(change))
