"""What is this table? Its columns, keys, rules and rights as a section of the page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from truing.catalog.model import Column, Constraint, Grant, Index, Policy, Table, Trigger
from truing.describe.choose import Chosen, partitions, referring
from truing.describe.grants import granted
from truing.describe.naming import Names, in_brackets
from truing.describe.texts import code, codes, prose, table
from truing.names import QualifiedName, ident

_ENABLED: Final = {
    "origin": "",
    "disabled": "disabled",
    "replica": "fires on replicas only",
    "always": "fires on replicas too",
}
_LAST: Final = {"primary-key": 0, "unique": 1, "exclusion": 2, "check": 3}


def section(one: Table, names: Names, chosen: Chosen) -> Iterator[str]:
    """Write the section of a table, part by part."""
    yield names.heading(one.name)
    yield from filter(None, (prose(one.comment), " ".join(filter(None, _facts(one, names)))))
    yield columns(one.columns, names)
    yield from _keys(one, names, chosen)
    yield from titled("Indexes", _indexes(one.indexes))
    yield from _security(one)
    yield from titled("Triggers", triggers(one.triggers, one.name))
    yield from titled("Rules", (f"- {code(each.name)}: {code(each.definition)}" for each in one.rules))
    yield from titled("Extended statistics", (f"- {code(each.definition)}" for each in one.statistics))
    yield from privileges("table", one.owner, one.grants, one.columns)
    yield from titled(
        "Partitions",
        (
            f"- {code(names.plain(each.name))}: {code(each.partition_bound or '')}{_own(each)}"
            for each in partitions(chosen.whole, one.name)
        ),
    )


def titled(title: str, lines: Iterable[str]) -> Iterator[str]:
    """Write a list under a title; nothing without lines."""
    text = "\n".join(lines)
    if text:
        yield f"**{title}**"
        yield text


def columns(found: Iterable[Column], names: Names, *, nulls: bool = True) -> str:
    """Write the table of columns; whether a view's can be NULL nobody knows."""
    rows = [
        (
            code(each.name),
            names.type(each.type),
            ("no" if each.not_null else "yes") if nulls else "",
            _default(each),
            _about(each),
        )
        for each in found
    ]
    return table(("column", "type", "null", "default", "about"), rows) if rows else "It has no columns."


def privileges(kind: str, owner: str, grants: Iterable[Grant], of_columns: Iterable[Column] = ()) -> Iterator[str]:
    """Write who may do what, beside the owner."""
    yield from titled("Rights", (f"- {role}: {what}" for role, what in granted(kind, owner, grants, of_columns)))


def triggers(found: Iterable[Trigger], on: QualifiedName) -> Iterator[str]:
    """Write a line for each trigger."""
    for each in found:
        notes = (_ENABLED[each.enabled], "inherited" if each.inherited else "", "constraint" if each.constraint else "")
        end = "; ".join(filter(None, notes))
        note = f" ({end})" if end else ""
        yield f"- {code(each.name)}: {code(_what(each, on))}{note}{_said(each.comment)}"


def _what(trigger: Trigger, on: QualifiedName) -> str:
    """Take out of a definition the names that stand beside it."""
    head = f"CREATE {'CONSTRAINT ' if trigger.constraint else ''}TRIGGER {ident(trigger.name)} "
    return trigger.definition.removeprefix(head).replace(f" ON {on.sql}", "", 1)


def _facts(one: Table, names: Names) -> Iterator[str]:
    if one.kind == "foreign-table":
        yield f"A foreign table of the server {code(one.server or '')}."
    if one.partition_key:
        yield f"Partitioned by {code(one.partition_key)}."
    if one.parents:
        yield f"Inherits from {', '.join(map(names.link, one.parents))}."
    if one.of_type:
        yield f"Of the type {code(one.of_type)}."
    if one.persistence == "unlogged":
        yield "Unlogged: it is empty after a crash."
    if one.replica_identity != "default":
        yield f"Replica identity: {one.replica_identity}."
    if one.options:
        yield f"Settings: {codes(one.options)}."
    yield names.owner(one.owner)


def _default(column: Column) -> str:
    if column.identity:
        return f"identity ({column.identity})"
    if column.generated:
        return f"{code(column.expression or '')}, {column.generated}"
    return code(column.default) if column.default else ""


def _about(column: Column) -> str:
    notes = [prose(column.comment)]
    if column.collation is not None:
        notes.append(f"collation {code(column.collation.sql)}")
    return "; ".join(filter(None, notes))


def _keys(one: Table, names: Names, chosen: Chosen) -> Iterator[str]:
    own = sorted(
        (each for each in one.constraints if each.kind != "foreign-key"), key=lambda each: (_LAST[each.kind], each.name)
    )
    yield from titled("Keys and checks", map(_constraint, own))
    rows = [
        (in_brackets(key.columns), _target(key, names), *_actions(key), code(key.name), state(key))
        for key in one.foreign_keys
    ]
    if rows:
        yield "**Foreign keys**"
        yield table(("columns", "references", "on delete", "on update", "name", "state"), rows)
    others = [
        (names.link(table_.name), in_brackets(key.columns), *_actions(key), code(key.name))
        for table_, key in referring(chosen.whole, one.name)
    ]
    if others:
        yield "**Referenced by**"
        yield table(("table", "columns", "on delete", "on update", "name"), others)


def _target(key: Constraint, names: Names) -> str:
    return f"{names.link(key.references)} {in_brackets(key.referenced_columns)}"


def _actions(key: Constraint) -> tuple[str, str]:
    only = f" {in_brackets(key.on_delete_columns)}" if key.on_delete_columns else ""
    return f"{key.on_delete}{only}", key.on_update


def _constraint(each: Constraint) -> str:
    note = f" ({state(each)})" if state(each) else ""
    return f"- {code(each.name)}: {code(each.definition)}{note}{_said(each.comment)}"


def state(each: Constraint) -> str:
    """Say what is out of the ordinary about a constraint."""
    words = (
        (not each.enforced, "not enforced"),
        (each.enforced and not each.validated, "**not validated**: older rows may break it"),
        (each.triggers_disabled, "**its triggers are disabled**: nothing is checked"),
        (each.match_full, "match full"),
        (each.deferrable, "deferred to the commit" if each.initially_deferred else "deferrable"),
        (each.no_inherit, "not inherited"),
        (each.inherited, "inherited"),
    )
    return "; ".join(text for applies, text in words if applies)


def _said(comment: str | None) -> str:
    return f": {prose(comment)}" if comment else ""


def _indexes(found: Iterable[Index]) -> Iterator[str]:
    for each in found:
        if each.constraint is not None and each.valid:
            # Its constraint stands above.
            continue
        what = each.definition.partition(" USING ")[2]
        notes = (
            ("unique", each.unique),
            ("**invalid**: it serves no query", not each.valid),
            ("replica identity", each.replica_identity),
            ("inherited", each.inherited),
        )
        words = "; ".join(text for text, applies in notes if applies)
        note = f" ({words})" if words else ""
        yield f"- {code(each.name)}: {code(what or each.definition)}{note}{_said(each.comment)}"


def _security(one: Table) -> Iterator[str]:
    if not (one.row_security or one.force_row_security or one.policies):
        return
    yield "**Row-level security**"
    if one.row_security:
        yield "On, for the owner too (forced)." if one.force_row_security else "On; the owner sees every row."
        if not one.policies:
            yield "There is no policy, so nobody else sees any row."
    else:
        yield "**Off**: " + ("its policies do nothing." if one.policies else "FORCE alone does nothing.")
    if one.policies:
        yield table(("policy", "for", "to", "using", "with check", "about"), map(_policy, one.policies))


def _policy(each: Policy) -> tuple[str, ...]:
    command = each.command if each.permissive else f"{each.command}, restrictive"
    roles = ", ".join("everybody" if role == "public" else code(role) for role in each.roles)
    return (
        code(each.name),
        command,
        roles,
        code_or_nothing(each.using),
        code_or_nothing(each.check),
        prose(each.comment),
    )


def code_or_nothing(text: str | None) -> str:
    """Write an expression, where there is one."""
    return code(text) if text else ""


def _own(partition: Table) -> str:
    """Say what a partition has that its parent has not."""
    own = [
        *(each.name for each in partition.constraints if not each.inherited),
        *(each.name for each in partition.indexes if not each.inherited and each.constraint is None),
        *(each.name for each in partition.triggers if not each.inherited),
    ]
    return f"; of its own: {codes(own)}" if own else ""
