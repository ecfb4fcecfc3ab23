"""What hangs on a column, as ``pg_depend`` knows it? Each of its rows becomes a dependent with the whole object."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from truing.catalog.closure import Closure, Place, Way, make, make_function, make_partition_key
from truing.catalog.dependent import Dependent, DependentKind
from truing.catalog.model import Constraint, Index, Table, View
from truing.names import QualifiedName, ident


def bound(closure: Closure, ways: list[Way]) -> Iterator[Dependent]:
    """Make a dependent of each object that ``pg_depend`` ties to the column.

    Args:
        closure: what has been read.
        ways: the rows of dependents.sql.
    """
    views = {way.object: way.owner for way in ways if way.class_name == "pg_rewrite" and way.name == "_RETURN"}
    sources: defaultdict[int, set[int]] = defaultdict(set)
    for way in ways:
        sources[way.object].add(way.via)
    of_view = {view: sources[rule] for rule, view in views.items()}
    for way in ways:
        place = Place(
            description=way.description,
            depth=max(_depth(via, of_view, frozenset()) for via in sources[way.object]),
            via=tuple(sorted(closure.pieces.views[via].name for via in sources[way.object] if via)),
        )
        yield from _dependent(closure, way, place)


def _depth(view: int, of_view: Mapping[int, set[int]], seen: frozenset[int]) -> int:
    """Tell how deep something lies that uses this view (0: none): the longest way, so that all it needs comes first."""
    if view == 0 or view in seen:  # Views can be made to use each other in a ring; such a ring cannot be read at all.
        return 0
    return 1 + max((_depth(via, of_view, seen | {view}) for via in of_view.get(view, set())), default=0)


def _dependent(closure: Closure, way: Way, place: Place) -> Iterator[Dependent]:
    if way.class_name == "pg_class":
        yield from _of_relation(closure, way, place)
    elif way.class_name == "pg_proc":
        yield from _of_function(closure, way, place)
    elif way.by_type:
        yield make("other", way.name or "", place, schema=way.schema)
    elif way.class_name == "pg_constraint":
        yield from _of_constraint(closure, way, place)
    elif way.class_name == "pg_rewrite":
        yield from _of_rule(closure, way, place)
    elif way.class_name == "pg_attrdef":
        yield from _of_expression(closure, way, place)
    else:
        yield from _of_part(closure, way, place)


def _of_relation(closure: Closure, way: Way, place: Place) -> Iterator[Dependent]:
    """An index, a sequence, the table itself (its partition key), or a column (of a row type; generated, before 15)."""
    owner = closure.relation(way.owner)
    if way.relkind in ("i", "I") and owner is not None:
        yield from _of_index(owner, way, place)
    elif way.relkind == "S":
        sequence = closure.pieces.sequences[way.object]
        yield make("sequence", way.name, place, schema=way.schema, table=closure.table.name, detail=sequence)
    elif way.column_name is None and way.object == closure.table_oid:
        yield make_partition_key(closure, place)
    elif way.column_name is not None and owner is not None:
        if way.object == closure.table_oid and not way.by_type:
            yield from _of_expression(closure, way, place)
            return
        column = next(column for column in owner.columns if column.name == way.column_name)
        yield make(
            "row-type", column.name, place, table=owner.name, definition=column.type, detail=column, schema=way.schema
        )
    else:
        yield make("other", way.name, place, schema=way.schema)


def _of_index(owner: Table | View, way: Way, place: Place) -> Iterator[Dependent]:
    index = next(index for index in owner.indexes if index.name == way.name)
    constraint = owner.constraint(index.constraint) if isinstance(owner, Table) and index.constraint else None
    if constraint is not None:
        # An EXCLUDE over expressions: only its index depends on the column, but what is made again is the constraint.
        place = msgspec.structs.replace(place, description=f"constraint {constraint.name} of {owner.name}")
        yield _constraint(constraint, owner, place, index)
    else:
        yield make("index", index.name, place, table=owner.name, definition=index.definition, detail=index)


def _of_function(closure: Closure, way: Way, place: Place) -> Iterator[Dependent]:
    function = closure.functions.get(way.object)
    # A function that takes rows of the table survives a swap, unless it uses the column: then there is another way, or
    # its text names the column, which function_texts looks for.
    if function is None or way.by_type:
        return
    yield make_function("function-atomic" if function.atomic else "function-row-type", function, place)


def _of_constraint(closure: Closure, way: Way, place: Place) -> Iterator[Dependent]:
    owner = closure.pieces.tables.get(way.owner)
    found = [c for c in (*owner.constraints, *owner.not_nulls) if c.name == way.name] if owner is not None else []
    if owner is None or not found:
        yield make("other", way.name, place)
        return
    constraint = found[0]
    index = owner.index(constraint.index) if constraint.index else None
    if constraint.kind != "foreign-key":
        yield _constraint(constraint, owner, place, index)
        return
    fields: dict[str, Any] = {"table": owner.name, "definition": constraint.definition, "detail": constraint}
    if way.owner == closure.table_oid and closure.column.name in constraint.columns:
        yield make("foreign-key-out", constraint.name, place, **fields)
    if constraint.references == closure.table.name and closure.column.name in constraint.referenced_columns:
        yield make("foreign-key-in", constraint.name, place, **fields)


def _of_rule(closure: Closure, way: Way, place: Place) -> Iterator[Dependent]:
    owner = closure.relation(way.owner)
    if isinstance(owner, View) and way.name == "_RETURN":
        kind: DependentKind = "materialized-view" if owner.materialized else "view"
        place = msgspec.structs.replace(place, description=f"{kind.replace('-', ' ')} {owner.name}")
        yield make(kind, owner.name.name, place, schema=owner.name.schema, definition=owner.definition, detail=owner)
    elif owner is not None:
        rule = next(rule for rule in owner.rules if rule.name == way.name)
        yield make("rule", rule.name, place, table=owner.name, definition=rule.definition, detail=rule)


def _of_expression(closure: Closure, way: Way, place: Place) -> Iterator[Dependent]:
    """The default of the column, or the expression of a generated one."""
    column = closure.table.column(way.column_name or "")
    if column is None:
        yield make("other", way.name or way.column_name or "", place)
    elif column.generated:
        yield make(
            "generated-column",
            column.name,
            place,
            table=closure.table.name,
            definition=column.expression or "",
            detail=column,
        )
    else:
        yield make(
            "default", column.name, place, table=closure.table.name, definition=column.default or "", detail=column
        )


def _of_part(closure: Closure, way: Way, place: Place) -> Iterator[Dependent]:
    owner = closure.relation(way.owner)
    if way.class_name == "pg_policy" and isinstance(owner, Table):
        policy = next(policy for policy in owner.policies if policy.name == way.name)
        clauses = (("USING", policy.using), ("WITH CHECK", policy.check))
        definition = " ".join(f"{word} ({text})" for word, text in clauses if text is not None)
        yield make("policy", policy.name, place, table=owner.name, definition=definition, detail=policy)
    elif way.class_name == "pg_trigger" and owner is not None:
        trigger = next(trigger for trigger in owner.triggers if trigger.name == way.name)
        yield make("trigger", trigger.name, place, table=owner.name, definition=trigger.definition, detail=trigger)
    elif way.class_name == "pg_statistic_ext" and owner is not None:
        name = QualifiedName(way.schema or "", way.name or "")
        statistic = next(statistic for statistic in owner.statistics if statistic.name == name)
        fields: dict[str, Any] = {"definition": statistic.definition, "detail": statistic, "schema": name.schema}
        yield make("statistics", name.name, place, table=owner.name, **fields)
    elif way.class_name == "pg_publication_rel" and owner is not None:
        yield _publication(closure, way, place, owner.name)
    else:
        yield make("other", way.name, place, schema=way.schema, table=owner.name if owner else None)


def _publication(closure: Closure, way: Way, place: Place, table: QualifiedName) -> Dependent:
    publication = next(publication for publication in closure.publications if publication.name == way.name)
    published = next(published for published in publication.tables if published.table == table)
    columns = f"({', '.join(map(ident, published.columns))})" if published.columns else ""
    where = f"WHERE {published.where}" if published.where else ""
    return msgspec.structs.replace(
        make("publication", publication.name, place, table=table, definition=f"{columns} {where}".strip()),
        schema=None,
        detail=published,
    )


def _constraint(constraint: Constraint, owner: Table | View, place: Place, index: Index | None) -> Dependent:
    if constraint.kind == "foreign-key":  # pragma: no cover - the callers have seen to those
        raise AssertionError(constraint)
    return make(
        constraint.kind,
        constraint.name,
        place,
        table=owner.name,
        definition=constraint.definition,
        detail=constraint,
        index=index,
    )
