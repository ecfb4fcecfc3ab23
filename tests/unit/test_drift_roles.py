"""Roles in a snapshot: found wherever they are, and put in another's place without a copy of what names none."""

from __future__ import annotations

import msgspec

from truing.catalog.model import (
    Column,
    DatabaseObject,
    Function,
    Grant,
    Policy,
    Publication,
    Schema,
    Sequence,
    Snapshot,
    Table,
    UserType,
    View,
)
from truing.drift.roles import roles_of, spoken_as
from truing.names import QualifiedName
from truing.versions import PostgresVersion

HERE = "postgres"
SEQUENCE = Sequence(
    name=QualifiedName("s", "n"), owner="of_sequence", type="bigint", start=1, increment=1, minimum=1, maximum=9
)


def granted(role: str) -> tuple[Grant, ...]:
    return (Grant(grantee=role, privilege="SELECT", grantor=HERE),)


def snapshot() -> Snapshot:
    """A role of its own in every place that can hold one; the same one as grantor."""
    name = QualifiedName("s", "n")
    column = Column(name="c", type="text", position=1, default="'postgres'", grants=granted("of_column"))
    policy = Policy(name="p", roles=("of_policy", HERE, "public"))
    table = Table(name=name, owner=HERE, columns=(column,), policies=(policy,), grants=granted("public"))
    return Snapshot(
        version=PostgresVersion(180000),
        database=HERE,
        schemas=(Schema(name="s", owner="of_schema", grants=granted("of_grant")),),
        tables=(table, Table(name=QualifiedName("s", "other"), owner="of_table")),
        views=(View(name=name, owner="of_view", definition="", columns=(column,)),),
        sequences=(SEQUENCE,),
        functions=(Function(name=name, owner="of_function", definition="", arguments=""),),
        types=(UserType(name=name, kind="composite", owner="of_type", columns=(column,)),),
        publications=(Publication(name="p", owner="of_publication"),),
        others=(
            DatabaseObject(kind="cast", name="of postgres on tables", owner="pg_monitor"),
            DatabaseObject(kind="default privileges", name="of postgres on tables", owner=""),
        ),
    )


def said(value: object, *, here: bool = False) -> set[str]:
    """All roles of what a value is as plain data, by the names of the keys alone."""
    if isinstance(value, dict):
        policy = value.get("object") == "Policy"
        found = (
            said(each, here=key in {"owner", "grantee", "grantor"} or (policy and key == "roles"))
            for key, each in value.items()
        )
        return set().union(*found)
    if isinstance(value, list | tuple):
        return set().union(*(said(each, here=here) for each in value))
    return {value} if here and isinstance(value, str) and value else set()


def test_roles_are_found_wherever_they_are():
    roles = said(msgspec.to_builtins(snapshot()))
    assert {"of_column", "of_policy", "of_grant", "of_publication", "public", "pg_monitor"} <= roles
    assert roles_of(snapshot()) == roles - {"public", "pg_monitor"}


def test_another_role_takes_its_place_and_nothing_else_changes():
    before = snapshot()
    after = spoken_as(before, HERE, "app owner")
    assert said(msgspec.to_builtins(after)) == said(msgspec.to_builtins(before)) - {HERE} | {"app owner"}
    assert after.tables[0].policies[0].roles == ("of_policy", "app owner", "public")
    assert [each.name for each in after.others] == ["of postgres on tables", 'of "app owner" on tables']
    # A text that happens to read like the role stays, and the way back leads to where it began.
    assert after.tables[0].columns[0].default == "'postgres'"
    assert after.database == HERE
    assert spoken_as(after, "app owner", HERE) == before
    assert spoken_as(before, HERE, HERE) is before
