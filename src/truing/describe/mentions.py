"""Who uses this function or this relation? Text that the server printed goes in; the qualified names in it come out.

Under an empty search path the server qualifies every name that it prints, so two identifiers with a dot between them
are one; string constants are passed over. Bodies of functions that are kept as text are not looked into.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from truing.catalog.model import Snapshot, Table
from truing.names import QualifiedName

_TOKEN: Final = re.compile(
    r"""(?P<string>E'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*')|"(?P<quoted>(?:[^"]|"")+)"|(?P<plain>[^\W\d]\w*)|(?P<other>\S)""",
    re.DOTALL,
)


def qualified_names(text: str | None) -> Iterator[tuple[QualifiedName, bool]]:
    """Give every qualified name in an expression or statement, and whether it is called as a function."""
    tokens = [_part(each) for each in _TOKEN.finditer(text or "")]
    for number, (name, _) in enumerate(tokens):
        follows = [tokens[each] if each < len(tokens) else ("", "") for each in range(number + 1, number + 4)]
        first = number == 0 or tokens[number - 1][1] != "."
        if name and first and follows[0][1] == "." and follows[1][0]:
            yield QualifiedName(name, follows[1][0]), follows[2][1] == "("


def _part(match: re.Match[str]) -> tuple[str, str]:
    if match["quoted"] is not None:
        return match["quoted"].replace('""', '"'), ""
    return (match["plain"], "") if match["plain"] is not None else ("", match["other"] or "'")


def users_of_functions(snapshot: Snapshot) -> Mapping[tuple[QualifiedName, bool], tuple[str, ...]]:
    """Say for each function by which objects the server would miss it, as words with names.

    The key is a name and whether a trigger calls it: an overloaded name may be both.
    """
    found: dict[tuple[QualifiedName, bool], dict[str, None]] = {}
    for user, text, trigger in _texts(snapshot):
        names = [trigger] if trigger is not None else [name for name, called in qualified_names(text) if called]
        for name in names:
            found.setdefault((name, trigger is not None), {})[user] = None
    return {name: tuple(users) for name, users in found.items()}


def _texts(snapshot: Snapshot) -> Iterator[tuple[str, str | None, QualifiedName | None]]:
    for table in snapshot.tables:
        yield from _of_table(table)
    for view in snapshot.views:
        yield f"view {view.name}", view.definition, None
        for trigger in view.triggers:
            yield f"trigger {trigger.name} on {view.name}", None, trigger.function
            yield f"trigger {trigger.name} on {view.name}", trigger.definition.partition(" EXECUTE ")[0], None
        for index in view.indexes:
            yield f"index {index.name}", " ".join((*index.elements, index.predicate or "")), None
    for type_ in snapshot.types:
        for text in (type_.default, *(each.definition for each in type_.constraints)):
            yield f"domain {type_.name}", text, None
    for function in snapshot.functions:
        if function.atomic:
            yield f"function {function.name}", function.definition.partition("\n")[2], None


def _of_table(table: Table) -> Iterator[tuple[str, str | None, QualifiedName | None]]:
    for column in table.columns:
        yield f"column {table.name}.{column.name}", column.default or column.expression, None
    for constraint in table.constraints:
        if constraint.kind in ("check", "exclusion"):
            yield f"constraint {constraint.name} on {table.name}", constraint.definition, None
    for index in table.indexes:
        yield f"index {index.name}", " ".join((*index.elements, index.predicate or "")), None
    for policy in table.policies:
        yield f"policy {policy.name} on {table.name}", f"{policy.using or ''} {policy.check or ''}", None
    for trigger in table.triggers:
        yield f"trigger {trigger.name} on {table.name}", None, trigger.function
        yield f"trigger {trigger.name} on {table.name}", trigger.definition.partition(" EXECUTE ")[0], None
    for rule in table.rules:
        yield f"rule {rule.name} on {table.name}", rule.definition, None
