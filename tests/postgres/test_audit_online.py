"""Online operations: for every policy, what the audit says of the rows is what becomes of them."""

from __future__ import annotations

import pytest

from tests.auditing import Audited, classes, counts, rules
from truing.errors import TruingError
from truing.finding import Severity

ONE, TWO = "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-00000000000b"
GHOST = "10000000-0000-0000-0000-00000000000a"
NIL = "00000000-0000-0000-0000-000000000000"
ROWS = f"""
CREATE TABLE tenants (id uuid PRIMARY KEY, name text);
INSERT INTO tenants VALUES ('{ONE}', 'one'), ('{TWO}', 'two');
CREATE TABLE map (raw text, value text);
INSERT INTO map VALUES ('acme', '{ONE}'), ('', '{TWO}');
CREATE TABLE p (id int PRIMARY KEY, tenant text, n int, note text);
INSERT INTO p (id, tenant) VALUES (1, '{ONE}'), (2, upper('{TWO}')), (3, '  {{{ONE}}}'), (4, ''), (5, ' '), (6, 'acme'),
  (7, 'other'), (8, '{GHOST}'), (9, upper('{GHOST}')), (10, NULL), (11, '{NIL}');
"""
ALL = {"null": 1, "empty": 2, "malformed": 2, "orphan": 3, "normalised": 2}
CONVERT = 'op.convert_column_online("p", "tenant", "uuid", references="tenants.id", {})'


def convert(**options: object) -> str:
    return CONVERT.format(", ".join(f"{name}={value!r}" for name, value in options.items()))


# the revision, rows by class, whether it stops
CASES = {
    "sentinel": (convert(nullable=False, dirty="sentinel", parent={"name": "nobody"}), ALL | {"orphan": 2}, False),
    "null": (convert(dirty="null"), {k: v for k, v in ALL.items() if k != "null"}, False),
    "null, although no NULL is allowed": (convert(nullable=False, dirty="null"), ALL, True),
    "quarantine-rows": (convert(nullable=False, dirty="quarantine-rows"), ALL, False),
    "fail": (convert(dirty="fail"), {k: v for k, v in ALL.items() if k != "null"}, True),
    "create-parent": (
        convert(dirty={"orphan": "create-parent", "empty": "null", "malformed": "null"}),
        {k: v for k, v in ALL.items() if k != "null"},
        False,
    ),
    "map": (
        convert(
            dirty={"malformed": "map", "empty": "map", "orphan": "null"},
            map_table="map",
        ),
        # '' and 'acme' are in the map; ' ' and 'other' are not.
        {"empty": 1, "malformed": 1, "unmapped": 2, "orphan": 3, "normalised": 2},
        True,
    ),
}


@pytest.mark.parametrize(("body", "expected", "stops"), CASES.values(), ids=CASES)
def test_every_policy_of_a_conversion(database, tmp_path, body, expected, stops):
    database.execute(ROWS)
    audited = Audited(database, tmp_path, r1=body)
    result = audited.audit()
    assert counts(result) == expected
    assert bool(rules(result, Severity.ERROR)) is stops
    for each in classes(result):
        if each.query:
            assert len(database.execute(each.query)) == each.count, each.query
    if stops:
        with pytest.raises(TruingError):
            audited.upgrade()
        return
    audited.upgrade()
    kept = dict(database.execute("SELECT reason, count(*) FROM _truing.quarantine GROUP BY 1"))
    altered = {each.row_class: each.count for each in classes(result) if each.verdict == "altered" and each.count}
    if "create-parent" in body:
        # Their values stay; what is kept is which rows were made.
        assert altered.pop("orphan") == 3
        assert database.execute("SELECT count(*) FROM tenants") == [(4,)]
    assert kept == altered


def test_keys_are_asked_through_every_conversion_and_policy(database, tmp_path):
    """After the conversion everybody has a parent, or is NULL; dirty values have become equal."""
    database.execute(ROWS)
    body = convert(nullable=False, dirty="sentinel", parent={"name": "nobody"})
    body += """
op.add_foreign_key_online("p", ["tenant"], "tenants", ["id"], name="fk")
op.set_not_null_online("p", "tenant")
op.create_index_online("un", "p", ["tenant"], unique=True)
"""
    result = Audited(database, tmp_path, r1=body).audit()
    by_change = {(each.change, each.row_class): each.count for each in classes(result)}
    assert by_change["fk: tenant → tenants", "orphan"] == 0
    # 1 and 3 are tenant one, 2 stays alone, and seven values and the nil UUID become the sentinel.
    assert by_change["UNIQUE INDEX (tenant)", "collision"] == 2 + 8
    (settled,) = [each for table in result.tables for each in table.unasked]
    assert settled.kind == "settled"


@pytest.mark.parametrize(
    ("body", "expected", "stops"),
    [
        ('op.set_not_null_online("p", "n")', {"null": 2}, True),
        ('op.set_not_null_online("p", "n", nulls={"value": "7"})', {"null": 2}, False),
        ('op.set_not_null_online("p", "n", nulls={"value": "t.id + abs(-1)"})', {"null": 2}, False),
        ('op.set_not_null_online("p", "n", nulls="quarantine-rows")', {"null": 2}, False),
        ('op.add_check_online("p", "ck", "n > 1")', {"violation": 1}, True),
        ('op.add_foreign_key_online("p", ["n"], "q", ["id"], name="fk")', {"orphan": 1}, True),
        ('op.add_foreign_key_online("p", ["n"], "q", ["id"], name="fk", orphans="null")', {"orphan": 1}, False),
        (
            'op.add_foreign_key_online("p", ["n"], "q", ["id"], name="fk", orphans="sentinel", sentinel="9")',
            {"orphan": 1},
            False,
        ),
        (
            'op.add_foreign_key_online("p", ["n"], "q", ["id"], name="fk", orphans="create-parent")',
            {"orphan": 1},
            False,
        ),
        (
            'op.set_not_null_online("p", "n", nulls={"value": "1"})\nop.add_check_online("p", "ck", "n > 1")',
            {"null": 2, "violation": 3},
            True,
        ),
        (
            'op.set_not_null_online("p", "n", nulls="quarantine-rows")\nop.add_check_online("p", "ck", "id < 3")',
            {"null": 2, "violation": 2},
            False,
        ),
        (
            (
                'op.add_foreign_key_online("p", ["n"], "q", ["id"], name="fk", orphans="quarantine-rows")\n'
                'op.add_foreign_key_online("r", ["p"], "p", ["id"], name="fk2", orphans="null")'
            ),
            {"orphan": 2},
            False,
        ),
        ('op.create_index_online("un", "p", ["n"], unique=True)', {}, False),
        ('op.add_check_online("p", "ck", "n > 1", violations="quarantine-rows")', {"violation": 1}, False),
        ('op.add_check_online("p", "ck", "n > 1", violations="null")', {"violation": 1}, False),
        ('op.add_check_online("p", "ck", "n > 1", violations={"value": "2"})', {"violation": 1}, False),
    ],
)
def test_constraints(database, tmp_path, body, expected, stops):
    database.execute(
        "CREATE TABLE q (id int PRIMARY KEY); INSERT INTO q VALUES (1);"
        "CREATE TABLE p (id int PRIMARY KEY, n int); INSERT INTO p VALUES (1, 1), (2, 2), (3, NULL), (4, NULL);"
        "CREATE TABLE r (id int PRIMARY KEY, p int); INSERT INTO r VALUES (1, 1), (2, 2)"
    )
    audited = Audited(database, tmp_path, r1=body)
    result = audited.audit()
    assert counts(result) == expected
    assert bool(rules(result, Severity.ERROR)) is stops
    if stops:
        with pytest.raises(Exception, match=r"\S"):
            audited.upgrade()
    else:
        audited.upgrade()
        kept = database.execute("SELECT rel, reason, count(*) FROM _truing.quarantine GROUP BY 1, 2")
        assert sorted(kept) == sorted(
            (str(each.table), each.row_class, each.count - each.settled)
            for each in classes(result)
            if each.verdict == "altered" and each.count > each.settled and each.policy != "create-parent"
        )


def test_what_cannot_be_carried_is_refused_by_name(database, tmp_path):
    database.execute(
        "CREATE TABLE p (id int PRIMARY KEY, tenant text); CREATE MATERIALIZED VIEW mv AS SELECT tenant FROM p;"
        "CREATE VIEW v AS SELECT tenant FROM p; CREATE INDEX ix ON p (tenant)"
    )
    audited = Audited(database, tmp_path, r1='op.convert_column_online("p", "tenant", "uuid")')
    result = audited.audit()
    assert {(each.name, each.refused) for table in result.tables for each in table.dependents} == {
        ("materialized view public.mv", True),
        ("view public.v", False),
        ("index public.ix", False),
    }
    assert rules(result, Severity.ERROR) == {"refused-dependent"}
    with pytest.raises(TruingError, match=r"materialized view public\.mv"):
        audited.upgrade()


@pytest.mark.pg("<=15")
def test_a_type_that_an_old_server_cannot_be_asked_about(database, tmp_path):
    database.execute("CREATE TABLE p (id int PRIMARY KEY, d text, n int)")
    body = 'op.convert_column_online("p", "d", "date")\nop.set_not_null_online("p", "n")\nop.add_check_online("p", "ck", "d IS NOT NULL")'
    result = Audited(database, tmp_path, r1=body).audit()
    unasked = {each.change: each.kind for table in result.tables for each in table.unasked}
    assert unasked == {"d → date": "unanswerable", "CHECK ck": "created"}
    assert len(classes(result)) == 2


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ('op.add_unique_online("d", "u", ["a", "b"])', None),
        ('op.add_unique_online("d", "u", ["a", "b"], duplicates="quarantine-rows")', 4),
        ('op.add_unique_online("d", "u", ["a", "b"], duplicates="null")', 7),
        ('op.add_unique_online("d", "u", ["a", "b"], duplicates={"value": "t.b + 10 * t.id"})', 7),
        ('op.create_index_online("u", "d", ["a", "b"], unique=True, duplicates="quarantine-rows")', 4),
    ],
)
def test_duplicates_become_what_is_said_of_them(database, tmp_path, line, left):
    """Five rows share two keys; all but the first of each are settled."""
    database.execute(
        "CREATE TABLE d (id int PRIMARY KEY, a int, b int);"
        "INSERT INTO d VALUES (1, 1, 1), (2, 1, 1), (3, 1, 1), (4, 1, 2), (5, 1, 2), (6, 1, 3), (7, NULL, 1);"
    )
    audited = Audited(database, tmp_path, r1=line)
    result = audited.audit()
    (found,) = [each for each in classes(result) if each.count]
    assert (found.row_class, found.count, found.groups) == ("duplicate", 5, 2)
    assert found.verdict == ("refused" if left is None else "altered")
    assert len(database.execute(found.query)) == 2
    if left is None:
        with pytest.raises(TruingError, match="3 rows"):
            audited.upgrade()
        return
    audited.upgrade()
    assert database.execute("SELECT count(*) FROM d") == [(left,)]
    assert database.execute("SELECT reason, count(*) FROM _truing.quarantine GROUP BY 1") == [
        ("duplicate", found.count - found.groups)
    ]


@pytest.mark.parametrize("type_", ["smallint", "integer", "bigint"])
def test_whole_numbers_of_every_size_are_read_as_postgresql_itself_does(database, tmp_path, type_):
    top = {"smallint": 2**15, "integer": 2**31, "bigint": 2**63}[type_]
    numbers = [
        "0",
        "-0",
        "+7",
        " 12 ",
        "007",
        "0" * 40 + "5",
        str(top - 1),
        str(top),
        str(-top),
        str(-top - 1),
        "9" * 30,
    ]
    values = [*numbers, "1.0", "1e3", "0x1f", "", "--1", "\u0661"]
    database.execute("CREATE TABLE n (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text)")
    for value in values:
        database.execute("INSERT INTO n (v) VALUES (%s)", [value])
    audited = Audited(database, tmp_path, r1=f'op.convert_column_online("n", "v", "{type_}", dirty="null")')
    predicted = counts(audited.audit())
    audited.upgrade()
    kept = dict(database.execute("SELECT reason, count(*) FROM _truing.quarantine GROUP BY 1"))
    assert kept["malformed"] == predicted["malformed"] >= 7
    assert kept["empty"] == predicted["empty"] == 1
