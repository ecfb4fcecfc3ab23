"""What hangs on a column without ``pg_depend`` knowing it? Its own properties, and functions whose text names it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from truing.catalog.closure import Closure, Place, TextFunction, make, make_function, make_partition_key
from truing.catalog.dependent import Dependent
from truing.catalog.model import Grant
from truing.catalog.read import OWN_SCHEMA
from truing.catalog.session import Reader
from truing.names import QualifiedName, ident, literal


def unbound(closure: Closure) -> Iterator[Dependent]:
    """List the column's own properties and its relatives."""
    table, column = closure.table.name, closure.column
    place = Place(description=f"column {ident(column.name)} of table {table}")
    if closure.target.partition_key:
        yield make_partition_key(closure, Place(description=f"table {table}"))
    for relative in closure.target.relatives:
        # A parent without the column is no matter; column.sql has looked. Nor is one that lost it to a redefinition.
        if relative.kind == "child-table" or column.inherited:
            yield make(
                relative.kind,
                relative.name.name,
                Place(description=f"table {relative.name}"),
                table=relative.name,
            )
    for grant in column.grants:
        yield make("column-grant", column.name, place, table=table, definition=_grant(grant, closure), detail=grant)
    for setting in _settings(closure):
        yield make("column-setting", column.name, place, table=table, definition=setting, detail=column)
    if column.comment is not None:
        yield make("comment", column.name, place, table=table, definition=column.comment, detail=column)
    for provider, label in closure.target.labels:
        yield make("security-label", provider, place, table=table, definition=label)


def _grant(grant: Grant, closure: Closure) -> str:
    option = " WITH GRANT OPTION" if grant.grantable else ""
    what = f"GRANT {grant.privilege} ({ident(closure.column.name)}) ON TABLE {closure.table.name}"
    return f"{what} TO {ident(grant.grantee)}{option}"


def _settings(closure: Closure) -> Iterator[str]:
    column = closure.column
    alter = f"ALTER TABLE {closure.table.name} ALTER COLUMN {ident(column.name)}"
    if column.statistics is not None:
        yield f"{alter} SET STATISTICS {column.statistics}"
    if column.options:
        options = (option.partition("=") for option in column.options)
        yield f"{alter} SET ({', '.join(f'{ident(name)} = {literal(value)}' for name, _, value in options)})"
    if column.storage != closure.target.default_storage:
        yield f"{alter} SET STORAGE {column.storage.upper()}"
    if column.compression:
        yield f"{alter} SET COMPRESSION {column.compression}"


def text_functions(reader: Reader, oid: int, table: QualifiedName, column: str) -> dict[int, TextFunction]:
    """Find the functions, by oid, whose text names the column (and that have to do with its table)."""
    parameters = {"table": oid, "own": OWN_SCHEMA, "spellings": list(_spellings(column))}
    return {
        function: text
        for function, text in reader.values("text_functions", TextFunction, parameters)
        if mentions(text.source, column) and (text.bound or mentions(text.source, table.name))
    }


def function_texts(closure: Closure, texts: Mapping[int, TextFunction]) -> Iterator[Dependent]:
    """Make dependents of what :func:`text_functions` found."""
    for oid, text in texts.items():
        if oid in closure.functions:
            yield make_function("function-text", closure.functions[oid], Place(description=text.description))


def mentions(source: str, name: str) -> bool:
    """Tell whether a text that is not parsed holds a name as a word, in any spelling that SQL has for it.

    Case does not count: unquoted names are folded. It may be wrong in one direction only: a word that happens to be the
    same counts as a mention. Names that are put together at run time cannot be seen.

    Args:
        source: the body of a function.
        name: as the catalog holds it.
    """
    return any(
        re.search(rf"(?<![\w$]){re.escape(spelling)}(?![\w$])", source, re.IGNORECASE) for spelling in _spellings(name)
    )


def _spellings(name: str) -> Iterable[str]:
    """A name as it is, as it is written inside double quotes, and as it is written inside single quotes."""
    return dict.fromkeys((name, name.replace('"', '""'), name.replace("'", "''")))
