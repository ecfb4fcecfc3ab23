"""The online operations as typed functions, for revisions that a type checker reads.

``op.convert_column_online(...)`` works in every revision, but Alembic's stub of ``op`` knows no operations of plugins.
``from truing.online import ops`` has the very same functions with their types and their documentation.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, cast

from alembic import op
from alembic.operations import Operations

from truing.online.operations.check import AddCheckOnlineOp, DropCheckOnlineOp
from truing.online.operations.column import AddColumnOnlineOp, DropColumnOnlineOp, FinishColumnOnlineOp
from truing.online.operations.convert_ops import (
    ContractColumnOnlineOp,
    ConvertColumnOnlineOp,
    RestoreColumnOnlineOp,
    RevertColumnOnlineOp,
)
from truing.online.operations.foreign_key import AddForeignKeyOnlineOp, DropForeignKeyOnlineOp
from truing.online.operations.index import CreateIndexOnlineOp, DropIndexOnlineOp
from truing.online.operations.not_null import DropNotNullOnlineOp, SetNotNullOnlineOp
from truing.online.operations.row_security import (
    DisableRowSecurityOnlineOp,
    EnableRowSecurityOnlineOp,
    FinishRowSecurityOnlineOp,
)
from truing.online.operations.statements import ExecuteOnlineOp
from truing.online.operations.unique import AddPrimaryKeyOnlineOp, AddUniqueOnlineOp, DropUniqueOnlineOp

Arguments = ParamSpec("Arguments")


def _function(method: Callable[Concatenate[Operations, Arguments], None]) -> Callable[Arguments, None]:
    """Make a function of an operation's spelling; ``op`` stands for the operations of the running revision."""

    @wraps(method)
    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        method(cast("Operations", op), *args, **kwargs)

    return call


add_check_online = _function(AddCheckOnlineOp.add_check_online)
add_column_online = _function(AddColumnOnlineOp.add_column_online)
add_foreign_key_online = _function(AddForeignKeyOnlineOp.add_foreign_key_online)
add_primary_key_online = _function(AddPrimaryKeyOnlineOp.add_primary_key_online)
add_unique_online = _function(AddUniqueOnlineOp.add_unique_online)
contract_column_online = _function(ContractColumnOnlineOp.contract_column_online)
convert_column_online = _function(ConvertColumnOnlineOp.convert_column_online)
create_index_online = _function(CreateIndexOnlineOp.create_index_online)
disable_row_security_online = _function(DisableRowSecurityOnlineOp.disable_row_security_online)
drop_check_online = _function(DropCheckOnlineOp.drop_check_online)
drop_column_online = _function(DropColumnOnlineOp.drop_column_online)
drop_foreign_key_online = _function(DropForeignKeyOnlineOp.drop_foreign_key_online)
drop_index_online = _function(DropIndexOnlineOp.drop_index_online)
drop_not_null_online = _function(DropNotNullOnlineOp.drop_not_null_online)
drop_unique_online = _function(DropUniqueOnlineOp.drop_unique_online)
enable_row_security_online = _function(EnableRowSecurityOnlineOp.enable_row_security_online)
execute_online = _function(ExecuteOnlineOp.execute_online)
finish_column_online = _function(FinishColumnOnlineOp.finish_column_online)
finish_row_security_online = _function(FinishRowSecurityOnlineOp.finish_row_security_online)
restore_column_online = _function(RestoreColumnOnlineOp.restore_column_online)
revert_column_online = _function(RevertColumnOnlineOp.revert_column_online)
set_not_null_online = _function(SetNotNullOnlineOp.set_not_null_online)
