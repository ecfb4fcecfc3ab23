"""compare() says every difference once, and nothing where there is none."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.postgres.catalog_zoo import CHILD, ROLE, TABLE, ZOO, C, R, S, T
from truing.catalog.diff import Difference, compare
from truing.catalog.model import (
    CatalogValue,
    Column,
    Constraint,
    Function,
    Grant,
    Index,
    Sequence,
    Snapshot,
    Table,
    UserType,
    View,
)
from truing.catalog.read import read_snapshot
from truing.names import QualifiedName, ident
from truing.versions import PostgresVersion


@pytest.fixture
def zoo(database):
    database.role(name=ROLE)
    database.execute(ZOO)
    return database


@pytest.fixture
def changed(zoo):
    """A function that runs statements and says what has changed."""
    before = read_snapshot(zoo.connect())

    def run(statement, **options):
        zoo.execute(statement)
        return compare(before, read_snapshot(zoo.connect()), **options)

    return run


# -- on real databases -------------------------------------------------------------------------------------------------


def test_a_database_and_its_copy_are_the_same(zoo, make_database):
    copy = make_database(template=zoo.name)
    assert compare(read_snapshot(zoo.connect()), read_snapshot(copy.connect())) == ()


def test_a_database_made_twice_is_the_same_although_columns_lie_otherwise(zoo, make_database):
    other = make_database()
    other.execute(ZOO)
    other.execute(
        f"ALTER TABLE {S}.scratch ADD b text;"
        f"ALTER TABLE {S}.scratch DROP a, ADD a integer; ALTER TABLE {S}.scratch DROP b, ADD b text"
    )
    zoo.execute(f"ALTER TABLE {S}.scratch ADD b text")
    left, right = read_snapshot(zoo.connect()), read_snapshot(other.connect())
    assert left.tables != right.tables
    assert compare(left, right) == ()


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (f"ALTER TABLE {T} ALTER {C} SET DEFAULT 'z'", f"column {T}.{C}: default: 'x''y'::text -> 'z'::text"),
        (f"ALTER TABLE {T} ALTER {C} DROP NOT NULL", f"column {T}.{C}: not null: yes -> no"),
        (f"COMMENT ON TABLE {T} IS NULL", f"table {T}: comment: a 'table' -> (none)"),
        (f"ALTER TABLE {T} ADD extra int NOT NULL", f"column {T}.extra: new: integer not null"),
        (f"ALTER TABLE {T} NO FORCE ROW LEVEL SECURITY", f"table {T}: force row security: yes -> no"),
        (f'DROP INDEX {S}."ix expr"', f'index {S}."ix expr": gone: CREATE INDEX '),
        (f'ALTER INDEX {S}."ix expr" RENAME TO x', f'index {S}."ix expr": name: ix expr -> x'),
        (f"ALTER TABLE {T} RENAME CONSTRAINT uq TO uq2", f"constraint uq on {T}: name: uq -> uq2"),
        (f"ALTER TABLE {T} DROP CONSTRAINT late", f"constraint late on {T}: gone: UNIQUE (serial_number) DEFERRABLE"),
        (
            f"ALTER TABLE {CHILD.sql} DROP CONSTRAINT \"f'k\", ADD CONSTRAINT \"f'k\" FOREIGN KEY (id) REFERENCES {T} (id)",
            f"constraint \"f'k\" on {CHILD}: definition: FOREIGN KEY",
        ),
        (f"DROP POLICY everybody ON {T}", f"policy everybody on {T}: gone: for SELECT to public"),
        (f"ALTER POLICY everybody ON {T} USING (false)", f"policy everybody on {T}: using: true -> false"),
        (f"ALTER TABLE {T} DISABLE TRIGGER \"t'r\"", f"trigger \"t'r\" on {T}: enabled: always -> disabled"),
        (f"GRANT DELETE ON {T} TO {R}", f"table {T}: privileges of {R}: SELECT -> DELETE, SELECT"),
        (f"REVOKE ALL ({C}) ON {T} FROM {R}", f"column {T}.{C}: privileges of {R}: UPDATE with grant option -> (none)"),
        (f"ALTER TYPE {S}.\"Mood's\" ADD VALUE 'ok'", f"type {S}.\"Mood's\": labels: sad, it's \"ok\" -> sad, it's"),
        (f'DROP TABLE {S}."Parts", {S}.part1', f'table {S}."Parts": gone: id integer, "when" date'),
        (f"ALTER SEQUENCE {S}.free INCREMENT 6", f"sequence {S}.free: increment: 5 -> 6"),
        ('CREATE SCHEMA "a b"', 'schema "a b": new: schema'),
        (f'ALTER PUBLICATION "pub é" DROP TABLE {T}', f'published table {T} of "pub é": gone'),
        (f"ALTER TABLE {S}.scratch SET LOGGED", f"table {S}.scratch: persistence: unlogged -> permanent"),
    ],
)  # fmt: skip
def test_one_change_is_one_difference(changed, statement, expected):
    differences = changed(statement)
    texts = [str(difference) for difference in differences]
    assert [text for text in texts if text.startswith(expected)] != [], texts
    allowed = 2 if "Parts" in statement else 1
    assert len(differences) == allowed, texts


def test_another_owner_is_one_difference(changed):
    """The owner's privileges are given by the old or the new owner and to them; that is not said."""
    assert [d.attribute for d in changed(f"ALTER TABLE {CHILD.sql} OWNER TO {R}")] == ["owner"]


def test_a_new_table_is_one_difference(changed):
    """With a serial and an identity, a key, an index and a policy."""
    (difference,) = changed(
        f"CREATE TABLE {S}.fresh (id serial PRIMARY KEY, n int GENERATED ALWAYS AS IDENTITY, t text UNIQUE);"
        f"CREATE INDEX ON {S}.fresh (n); CREATE POLICY p ON {S}.fresh USING (true)"
    )
    assert str(difference) == f"table {S}.fresh: new: id integer, n integer, t text"


def test_what_is_ignored(changed):
    statement = f"COMMENT ON TABLE {T} IS 'x'; GRANT DELETE ON {T} TO {R}; ALTER TABLE {CHILD.sql} OWNER TO {R}"
    assert changed(statement, ignore={"comment", "privileges", "owner"}) == ()


@pytest.mark.pg(">=18")
def test_unvalidated_not_null(changed):
    differences = changed(f"ALTER TABLE {CHILD.sql} ADD CONSTRAINT nn NOT NULL size NOT VALID")
    assert [str(d) for d in differences] == [f"column {CHILD}.size: not null constraint: (none) -> NOT VALID"]


@pytest.mark.pg(">=18")
def test_name_of_a_not_null_does_not_count(changed):
    assert changed(f"ALTER TABLE {T} ALTER {C} DROP NOT NULL, ADD CONSTRAINT odd NOT NULL {C}") == ()


def test_what_only_one_major_knows_is_no_difference(zoo):
    """MAINTAIN, and NOT NULL as constraints."""
    snapshot = read_snapshot(zoo.connect())
    maintain = Grant(grantee=ROLE, privilege="MAINTAIN")
    table = snapshot.table(TABLE)
    newer = msgspec.structs.replace(
        table,
        grants=(*table.grants, maintain),
        not_nulls=(Constraint(name="n", kind="not-null", definition="NOT NULL x", columns=("x",), validated=False),),
    )
    old = Snapshot(
        version=PostgresVersion(150000), database="a", tables=(msgspec.structs.replace(table, not_nulls=()),)
    )
    new = Snapshot(version=PostgresVersion(180000), database="b", tables=(newer,))
    assert compare(old, new) == ()
    assert len(compare(msgspec.structs.replace(old, version=PostgresVersion(180000)), new)) == 2


# -- every field counts ------------------------------------------------------------------------------------------------

EXEMPT = {
    ("Snapshot", "version"), ("Snapshot", "database"), ("Snapshot", "left_out"), ("Snapshot", "unread"),
    ("Column", "position"), ("Grant", "grantor"), ("Constraint", "index"), ("Index", "constraint"),
    ("Extension", "comment"),
}  # fmt: skip
"""What does not count, each for the reason that diff.py gives."""


def places(value, path=()):
    """Every field of every value in a snapshot, as a path of field names and positions."""
    for field in value.__struct_fields__:
        inner = getattr(value, field)
        if isinstance(value, CatalogValue):
            yield (*path, field), value, inner
        if isinstance(inner, CatalogValue):
            yield from places(inner, (*path, field))
        elif isinstance(inner, tuple):
            for position, item in enumerate(inner):
                if isinstance(item, CatalogValue):
                    yield from places(item, (*path, field, position))


def put(value: Any, path: tuple, new: Any) -> Any:
    if not path:
        return new
    if isinstance(path[0], int):
        return (*value[: path[0]], put(value[path[0]], path[1:], new), *value[path[0] + 1 :])
    return msgspec.structs.replace(value, **{path[0]: put(getattr(value, path[0]), path[1:], new)})


def other_than(inner):
    match inner:
        case bool():
            return not inner
        case int():
            return inner + 1
        case None | str():
            return (inner or "") + "~"
        case QualifiedName():
            return QualifiedName(inner.schema, inner.name + "~")
        case tuple():
            return inner[1:] if inner else ("~",)
        case _:
            return None


def implied(value=None):
    return (isinstance(value, Index) and value.constraint) or (isinstance(value, Sequence) and value.owned_by)


def test_every_field_of_every_object_counts(zoo):
    snapshot = read_snapshot(zoo.connect())
    tried, silent = set(), []
    for path, owner, inner in places(snapshot):
        kind = (type(owner).__name__, path[-1])
        empty = isinstance(inner, tuple) and not inner and path[-1] in {
            "columns", "constraints", "indexes", "policies", "triggers", "rules", "statistics", "not_nulls", "grants",
            "tables", "brought",
        }  # fmt: skip
        if kind in EXEMPT or empty or {"left_out", "unread"} & set(path):
            continue
        if "not_nulls" in path and (path[-1] in {"not_nulls", "name", "definition", "columns"}):
            continue  # matched by column, see test_name_of_a_not_null_does_not_count
        if isinstance(owner, Index) and owner.constraint and path[-1] == "name":
            continue  # together with the constraint
        if isinstance(inner, tuple) and implied(*inner[:1]):
            continue  # it cannot go alone
        tried.add(kind)
        if not compare(snapshot, put(snapshot, path, other_than(inner))):
            silent.append(path)
    assert silent == []
    assert len(tried) > 120
    assert {name for name, _ in tried} > {"Table", "Column", "Constraint", "Index", "Policy", "View", "Function"}


# -- laws --------------------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "A b", 'q"', "é", "select", "-- x"])
QUALIFIED = st.builds(QualifiedName, st.sampled_from(["public", 's"']), NAMES)
TEXTS = st.one_of(st.none(), st.sampled_from(["", "x", "y"]))
FLAGS = st.booleans()


def several(strategy, key=lambda value: value.name, size=3):
    return st.lists(strategy, max_size=size, unique_by=key).map(lambda values: tuple(sorted(values, key=key)))


GRANTS = several(
    st.builds(Grant, grantee=NAMES, privilege=st.sampled_from(["SELECT", "MAINTAIN"]), grantable=FLAGS),
    key=lambda grant: (grant.grantee, grant.privilege),
)
COLUMNS = several(
    st.builds(
        Column, name=NAMES, type=st.sampled_from(["text", "uuid"]), position=st.integers(1, 9), not_null=FLAGS,
        default=TEXTS, comment=TEXTS, grants=GRANTS,
    )
)  # fmt: skip
DEFINITIONS = st.sampled_from(["UNIQUE (a)", "CHECK (b)", "UNIQUE (b)"])
CONSTRAINTS = several(
    st.builds(
        Constraint, name=NAMES, kind=st.sampled_from(["unique", "check"]), definition=DEFINITIONS, validated=FLAGS,
        comment=TEXTS, columns=st.sampled_from([("a",), ("b",)]),
    )
)  # fmt: skip
INDEXES = several(
    st.builds(
        lambda name, on, valid: Index(name=name, definition=f"CREATE INDEX {ident(name)} ON {on}", valid=valid),
        NAMES, st.sampled_from(["t (a)", "t (b)"]), FLAGS,
    )
)  # fmt: skip
NOT_NULLS = several(
    st.builds(
        Constraint, name=NAMES, kind=st.just("not-null"), definition=st.just("NOT NULL"), validated=FLAGS,
        columns=st.sampled_from([("a",), ("b",)]), no_inherit=FLAGS,
    ),
    key=lambda constraint: constraint.columns,
)  # fmt: skip
TABLES = several(
    st.builds(
        Table, name=QUALIFIED, owner=NAMES, grants=GRANTS, row_security=FLAGS, columns=COLUMNS,
        constraints=CONSTRAINTS, indexes=INDEXES, not_nulls=NOT_NULLS,
    )
)  # fmt: skip
SNAPSHOTS = st.builds(
    Snapshot,
    version=st.sampled_from([150000, 170000, 180000]).map(PostgresVersion),
    database=NAMES,
    tables=TABLES,
    views=several(st.builds(View, name=QUALIFIED, definition=DEFINITIONS, columns=COLUMNS, materialized=FLAGS)),
    functions=several(
        st.builds(Function, name=QUALIFIED, arguments=st.sampled_from(["", "a int"]), definition=DEFINITIONS),
        key=lambda function: (function.name, function.arguments),
    ),
    types=several(st.builds(UserType, name=QUALIFIED, kind=st.sampled_from(["enum", "domain"]))),
)
LAW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@LAW
@given(SNAPSHOTS)
def test_nothing_differs_from_itself(snapshot):
    assert compare(snapshot, msgspec.json.decode(msgspec.json.encode(snapshot), type=Snapshot)) == ()


@LAW
@given(SNAPSHOTS, SNAPSHOTS)
def test_swapping_the_sides_swaps_before_and_after(a, b):
    assert compare(b, a) == tuple(difference.reverse for difference in compare(a, b))


@LAW
@given(SNAPSHOTS, SNAPSHOTS)
def test_what_is_said_is_a_difference(a, b):
    differences = compare(a, b)
    assert all(difference.before != difference.after for difference in differences)
    assert len({(d.kind, d.name, d.attribute, d.before, d.after) for d in differences}) == len(differences)


@LAW
@given(SNAPSHOTS, st.randoms())
def test_the_order_of_columns_does_not_count(snapshot, random):
    tables = []
    for table in snapshot.tables:
        columns = [msgspec.structs.replace(c, position=random.randint(1, 99)) for c in table.columns]
        random.shuffle(columns)
        tables.append(msgspec.structs.replace(table, columns=tuple(columns)))
    assert compare(snapshot, msgspec.structs.replace(snapshot, tables=tuple(tables))) == ()


def test_words():
    gone = Difference("column", "a.t.c", "", "text", None)
    assert str(gone) == "column a.t.c: gone: text"
    assert str(gone.reverse) == "column a.t.c: new: text"
    assert str(Difference("column", "a.t.c", "default", None, "1")) == "column a.t.c: default: (none) -> 1"
