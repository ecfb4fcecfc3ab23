"""What kind of command is this? A statement's tree goes in; the command tag that PostgreSQL would answer comes out."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from truing.sql.parse import Node, enum_name, has, kind

_TAGS: Final = {
    "AlterDatabaseSetStmt": "ALTER DATABASE",
    "AlterDefaultPrivilegesStmt": "ALTER DEFAULT PRIVILEGES",
    "AlterEnumStmt": "ALTER TYPE",
    "AlterExtensionContentsStmt": "ALTER EXTENSION",
    "AlterRoleSetStmt": "ALTER ROLE",
    "AlterSeqStmt": "ALTER SEQUENCE",
    "AlterStatsStmt": "ALTER STATISTICS",
    "AlterTypeStmt": "ALTER TYPE",
    "CheckPointStmt": "CHECKPOINT",
    "CompositeTypeStmt": "CREATE TYPE",
    "ConstraintsSetStmt": "SET CONSTRAINTS",
    "CreateEnumStmt": "CREATE TYPE",
    "CreateFdwStmt": "CREATE FOREIGN DATA WRAPPER",
    "CreateForeignServerStmt": "CREATE SERVER",
    "CreatePLangStmt": "CREATE LANGUAGE",
    "CreateRangeStmt": "CREATE TYPE",
    "CreateSeqStmt": "CREATE SEQUENCE",
    "CreateStatsStmt": "CREATE STATISTICS",
    "CreateStmt": "CREATE TABLE",
    "CreateEventTrigStmt": "CREATE EVENT TRIGGER",
    "CreateTrigStmt": "CREATE TRIGGER",
    "CreatedbStmt": "CREATE DATABASE",
    "DropdbStmt": "DROP DATABASE",
    "IndexStmt": "CREATE INDEX",
    "LockStmt": "LOCK TABLE",
    "RefreshMatViewStmt": "REFRESH MATERIALIZED VIEW",
    "RuleStmt": "CREATE RULE",
    "SecLabelStmt": "SECURITY LABEL",
    "TruncateStmt": "TRUNCATE TABLE",
    "VariableShowStmt": "SHOW",
    "ViewStmt": "CREATE VIEW",
}

# The object types whose enum name is not the word of the tag.
_OBJECTS: Final = {
    "ATTRIBUTE": "TYPE",
    "COLUMN": "TABLE",
    "DOMCONSTRAINT": "DOMAIN",
    "FDW": "FOREIGN DATA WRAPPER",
    "FOREIGN_SERVER": "SERVER",
    "MATVIEW": "MATERIALIZED VIEW",
    "OPCLASS": "OPERATOR CLASS",
    "OPFAMILY": "OPERATOR FAMILY",
    "STATISTIC_EXT": "STATISTICS",
    "TABCONSTRAINT": "TABLE",
    "TSCONFIGURATION": "TEXT SEARCH CONFIGURATION",
    "TSDICTIONARY": "TEXT SEARCH DICTIONARY",
    "TSPARSER": "TEXT SEARCH PARSER",
    "TSTEMPLATE": "TEXT SEARCH TEMPLATE",
}


def tag(node: Node) -> str:
    """Name the command of a statement's tree, for example ``CREATE POLICY``."""
    name = kind(node)
    if name in _TAGS:
        return _TAGS[name]
    if name in _BY_CONTENT:
        return _BY_CONTENT[name](node)
    # CreatePolicyStmt -> CREATE POLICY
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.removesuffix("Stmt")).upper()


def _object(node: Node, field: str) -> str:
    word = enum_name(node, field).removeprefix("OBJECT_")
    return _OBJECTS.get(word, word.replace("_", " "))


def _rename(node: Node) -> str:
    # A column is renamed by altering what it belongs to.
    is_column = enum_name(node, "rename_type") == "OBJECT_COLUMN"
    return f"ALTER {_object(node, 'relation_type' if is_column else 'rename_type')}"


def _create_as(node: Node) -> str:
    return "CREATE MATERIALIZED VIEW" if enum_name(node, "objtype") == "OBJECT_MATVIEW" else "CREATE TABLE AS"


def _set(node: Node) -> str:
    return "RESET" if enum_name(node, "kind") in {"VAR_RESET", "VAR_RESET_ALL"} else "SET"


def _transaction(node: Node) -> str:
    word = enum_name(node, "kind").removeprefix("TRANS_STMT_")
    return _TRANSACTIONS.get(word, word.replace("_", " "))


_TRANSACTIONS: Final = {
    "START": "START TRANSACTION",
    "ROLLBACK_TO": "ROLLBACK",
    "PREPARE": "PREPARE TRANSACTION",
}

_BY_CONTENT: Final[dict[str, Callable[[Node], str]]] = {
    "AlterFunctionStmt": lambda node: f"ALTER {_object(node, 'objtype')}",
    "AlterObjectDependsStmt": lambda node: f"ALTER {_object(node, 'object_type')}",
    "AlterObjectSchemaStmt": lambda node: f"ALTER {_object(node, 'object_type')}",
    "AlterOwnerStmt": lambda node: f"ALTER {_object(node, 'object_type')}",
    "AlterTableStmt": lambda node: f"ALTER {_object(node, 'objtype')}",
    "CreateFunctionStmt": lambda node: "CREATE PROCEDURE" if node.is_procedure else "CREATE FUNCTION",
    "CreateTableAsStmt": _create_as,
    "DefineStmt": lambda node: f"CREATE {_object(node, 'kind')}",
    "DropStmt": lambda node: f"DROP {_object(node, 'remove_type')}",
    "GrantRoleStmt": lambda node: "GRANT ROLE" if node.is_grant else "REVOKE ROLE",
    "GrantStmt": lambda node: "GRANT" if node.is_grant else "REVOKE",
    "RenameStmt": _rename,
    "SelectStmt": lambda node: "SELECT INTO" if has(node, "into_clause") else "SELECT",
    "TransactionStmt": _transaction,
    "VacuumStmt": lambda node: "VACUUM" if node.is_vacuumcmd else "ANALYZE",
    "VariableSetStmt": _set,
}
