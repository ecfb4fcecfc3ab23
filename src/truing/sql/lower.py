"""Which typed changes does a statement stand for? A parsed statement goes in; changes come out, in order.

What no change stands for becomes an :class:`~truing.changes.OtherStatement`, so nothing is passed over in silence; what
happens inside a DO block or a function is not looked at. A new table's own columns are part of its ``CreateTable``; its
constraints come as changes of their own, since a foreign key also concerns the table it points to.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from truing import changes as c
from truing.names import QualifiedName, ident, literal
from truing.sql.parse import (
    Node,
    Statement,
    clone,
    deparse,
    deparse_expression,
    enum_name,
    has,
    kind,
    parse,
    parts,
    unwrap,
)
from truing.sql.relations import relations
from truing.sql.tags import tag
from truing.sql.types import is_serial, spelled

_ACTIONS: Final[dict[str, c.Action]] = {
    "": "NO ACTION",
    "a": "NO ACTION",
    "r": "RESTRICT",
    "c": "CASCADE",
    "n": "SET NULL",
    "d": "SET DEFAULT",
}
_TABLES: Final = frozenset({"OBJECT_TABLE", "OBJECT_FOREIGN_TABLE"})


class _Scope(msgspec.Struct, frozen=True):
    """What the lowering of one statement needs to know: the statement and where an unqualified name is found."""

    statement: Statement
    default_schema: str

    def name(self, range_var: Node) -> QualifiedName:
        schema = range_var.schemaname or ("pg_temp" if range_var.relpersistence == "t" else self.default_schema)
        return QualifiedName(schema, range_var.relname)

    def listed(self, words: tuple[str, ...]) -> QualifiedName:
        return QualifiedName(words[-2] if len(words) > 1 else self.default_schema, words[-1])

    def other(self, table: QualifiedName | None = None, sql: str = "") -> c.OtherStatement:
        """Say that no change stands for the statement, or for one subcommand of it."""
        if table is None:
            first = next(iter(relations(self.statement)), None)
            table = QualifiedName(first.schema or self.default_schema, first.name) if first else QualifiedName("", "")
        return c.OtherStatement(table, sql or self.statement.text, tag(self.statement.node))


def lower(statement: Statement, default_schema: str = "public") -> tuple[c.AnyChange, ...]:
    """Translate a statement.

    Args:
        statement: what :func:`truing.sql.parse.parse` returned.
        default_schema: the schema of names that the statement does not qualify.

    Returns:
        The changes in order; one :class:`~truing.changes.OtherStatement` where none stands for the statement.
    """
    return tuple(_lowered(_Scope(statement, default_schema), statement.node))


def _lowered(scope: _Scope, node: Node) -> Iterator[c.AnyChange]:
    match kind(node):
        case "CreateStmt":
            yield from _create_table(scope, node)
        case "AlterTableStmt" if enum_name(node, "objtype") in _TABLES:
            for command in node.cmds:
                yield from _alter_table(scope, node, unwrap(command))
        case "IndexStmt":
            yield _create_index(scope, node)
        case "DropStmt":
            yield from _drop(scope, node)
        case "RenameStmt":
            yield _rename(scope, node)
        case "CreateTableAsStmt" if enum_name(node, "objtype") == "OBJECT_TABLE":
            yield c.CreateTable(scope.name(node.into.rel))
            yield scope.other()
        case _:
            yield scope.other()


def _create_table(scope: _Scope, node: Node) -> Iterator[c.AnyChange]:
    table = scope.name(node.relation)
    yield c.CreateTable(table)
    for element in map(unwrap, node.table_elts):
        if kind(element) == "ColumnDef":
            yield from _column_constraints(scope, table, element)
        elif kind(element) == "Constraint":
            yield _constraint(scope, table, element) or scope.other(table)
        else:
            yield scope.other(table)
    for parent in map(unwrap, node.inh_relations):
        # A new partition or child locks its parent, which no other change says.
        yield scope.other(scope.name(parent))


def _alter_table(scope: _Scope, node: Node, command: Node) -> Iterator[c.AnyChange]:
    table = scope.name(node.relation)
    definition = unwrap(getattr(command, "def"))
    match enum_name(command, "subtype"):
        case "AT_AddColumn":
            yield from _add_column(scope, table, definition, _alone(node, command))
        case "AT_DropColumn":
            yield c.DropColumn(table, command.name)
        case "AT_AlterColumnType":
            using = deparse_expression(definition.raw_default) if has(definition, "raw_default") else None
            yield c.AlterColumnType(table, command.name, spelled(definition.type_name), using)
        case "AT_SetNotNull":
            yield c.SetNotNull(table, command.name)
        case "AT_DropNotNull":
            yield c.DropNotNull(table, command.name)
        case "AT_ColumnDefault":
            default = deparse_expression(definition) if has(command, "def") else None
            yield c.SetDefault(table, command.name, default)
        case "AT_ValidateConstraint":
            yield c.ValidateConstraint(table, command.name)
        case "AT_DropConstraint":
            yield c.DropConstraint(table, command.name)
        case "AT_AddConstraint":
            yield _constraint(scope, table, definition) or scope.other(table, _alone(node, command))
        case _:
            yield scope.other(table, _alone(node, command))


def _alone(node: Node, command: Node) -> str:
    """Write one subcommand as an ALTER TABLE of its own."""
    alone = clone(node)
    del alone.cmds[:]
    alone.cmds.add().alter_table_cmd.CopyFrom(command)
    return deparse(alone)


def _add_column(scope: _Scope, table: QualifiedName, definition: Node, sql: str) -> Iterator[c.AnyChange]:
    constraints = list(map(unwrap, definition.constraints))
    kinds = {enum_name(constraint, "contype") for constraint in constraints}
    default = next(
        (deparse_expression(one.raw_expr) for one in constraints if enum_name(one, "contype") == "CONSTR_DEFAULT"), None
    )
    serial = is_serial(definition.type_name)
    if serial:
        sequence = QualifiedName(table.schema, f"{table.name}_{definition.colname}_seq")
        default = f"nextval({literal(sequence.sql)}::regclass)"
    nullable = not serial and not kinds & {"CONSTR_NOTNULL", "CONSTR_PRIMARY", "CONSTR_IDENTITY"}
    yield c.AddColumn(table, definition.colname, spelled(definition.type_name), nullable, default)
    if kinds & {"CONSTR_GENERATED", "CONSTR_IDENTITY"}:
        # Where the values come from is not part of AddColumn, and a stored generated column rewrites the table.
        yield scope.other(table, sql)
    yield from _column_constraints(scope, table, definition)


def _column_constraints(scope: _Scope, table: QualifiedName, definition: Node) -> Iterator[c.AnyChange]:
    """Translate the constraints written behind a column; what follows a constraint (``DEFERRABLE``) belongs to it."""
    merged: list[Node] = []
    for constraint in map(unwrap, definition.constraints):
        match enum_name(constraint, "contype"):
            case "CONSTR_ATTR_DEFERRABLE" if merged:
                merged[-1].deferrable = True
            case "CONSTR_ATTR_DEFERRED" if merged:
                merged[-1].deferrable = merged[-1].initdeferred = True
            case "CONSTR_ATTR_NOT_ENFORCED" if merged:
                merged[-1].skip_validation = True
            case _:
                merged.append(clone(constraint))
    for constraint in merged:
        if enum_name(constraint, "contype") != "CONSTR_NOTNULL":
            change = _constraint(scope, table, constraint, definition.colname)
            if change is not None:
                yield change


def _constraint(scope: _Scope, table: QualifiedName, node: Node, column: str = "") -> c.AnyChange | None:
    """Translate a constraint; None for the kinds that no change stands for (and for defaults and the like)."""
    name = node.conname or None
    match enum_name(node, "contype"):
        case "CONSTR_FOREIGN":
            return _foreign_key(scope, table, node, column)
        case "CONSTR_UNIQUE" | "CONSTR_PRIMARY" as which:
            return c.AddUnique(
                table,
                name,
                parts(node.keys) or ((column,) if column else ()),
                primary=which == "CONSTR_PRIMARY",
                nulls_not_distinct=node.nulls_not_distinct,
                using_index=node.indexname or None,
            )
        case "CONSTR_CHECK":
            return c.AddCheck(table, name, deparse_expression(node.raw_expr), validated=not node.skip_validation)
        case "CONSTR_NOTNULL":
            of = parts(node.keys)[0]
            if node.skip_validation:
                # Not checked yet, it is what a CHECK that is NOT VALID would be.
                return c.AddCheck(table, name, f"{ident(of)} IS NOT NULL", validated=False)
            return c.SetNotNull(table, of)
        case _:
            return None


def _foreign_key(scope: _Scope, table: QualifiedName, node: Node, column: str) -> c.AddForeignKey:
    return c.AddForeignKey(
        table,
        node.conname or None,
        parts(node.fk_attrs) or (column,),
        scope.name(node.pktable),
        parts(node.pk_attrs),
        on_delete=_ACTIONS[node.fk_del_action],
        on_update=_ACTIONS[node.fk_upd_action],
        on_delete_columns=parts(node.fk_del_set_cols),
        match_full=node.fk_matchtype == "f",
        deferrable=node.deferrable,
        initially_deferred=node.initdeferred,
        validated=not node.skip_validation,
    )


def _create_index(scope: _Scope, node: Node) -> c.CreateIndex:
    return c.CreateIndex(
        scope.name(node.relation),
        node.idxname or None,
        tuple(_index_element(unwrap(element)) for element in node.index_params),
        unique=node.unique,
        method=node.access_method or "btree",
        include=tuple(unwrap(element).name for element in node.index_including_params),
        where=deparse_expression(node.where_clause) if has(node, "where_clause") else None,
        nulls_not_distinct=node.nulls_not_distinct,
        concurrently=node.concurrent,
    )


def _index_element(element: Node) -> str:
    """Write one element of an index with its collation, operator class and order."""
    index = clone(parse("CREATE INDEX ON t (x)")[0].node)
    index.index_params[0].index_elem.CopyFrom(element)
    return deparse(index).partition("(")[2].removesuffix(")")


def _drop(scope: _Scope, node: Node) -> Iterator[c.AnyChange]:
    match enum_name(node, "remove_type"):
        case "OBJECT_TABLE" | "OBJECT_FOREIGN_TABLE":
            for named in node.objects:
                yield c.DropTable(scope.listed(parts(named)))
        case "OBJECT_INDEX":
            for named in node.objects:
                index = scope.listed(parts(named))
                yield c.DropIndex(QualifiedName(index.schema, ""), index.name, concurrently=node.concurrent)
        case _:
            yield scope.other()


def _rename(scope: _Scope, node: Node) -> c.AnyChange:
    what = enum_name(node, "rename_type")
    if what in _TABLES:
        return c.RenameTable(scope.name(node.relation), node.newname)
    if what == "OBJECT_COLUMN" and enum_name(node, "relation_type") in _TABLES:
        return c.RenameColumn(scope.name(node.relation), node.subname, node.newname)
    return scope.other()
