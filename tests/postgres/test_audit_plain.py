"""Plain Alembic revisions: what the audit says of each is what PostgreSQL then does."""

from __future__ import annotations

import psycopg
import psycopg.sql
import pytest
import sqlalchemy.exc

from tests.auditing import Audited, classes, counts, rules
from truing.finding import Severity

TENANTS = """
CREATE TABLE tenants (id uuid PRIMARY KEY, name text);
INSERT INTO tenants SELECT ('00000000-0000-0000-0000-00000000000' || n)::uuid, 't' || n FROM generate_series(1, 3) n;
CREATE TABLE p (id int PRIMARY KEY, tenant text, n int, email text, amount numeric(12, 4), tenant_id uuid);
"""
ONE = "00000000-0000-0000-0000-000000000001"
GHOST = "10000000-0000-0000-0000-00000000000a"


def rows(*values: str, columns: str = "id, tenant") -> str:
    return TENANTS + f"INSERT INTO p ({columns}) VALUES {', '.join(values)};"


# id, rows, the body of upgrade(), rows by class, whether the revision fails
CASES = [
    (
        "foreign key",
        rows(f"(1, '{ONE}')", f"(2, '{GHOST}')", "(3, NULL)", columns="id, tenant_id"),
        'op.create_foreign_key("fk", "p", "tenants", ["tenant_id"], ["id"])',
        {"orphan": 1},
        True,
    ),
    (
        "foreign key, clean",
        rows(f"(1, '{ONE}')", "(3, NULL)", columns="id, tenant_id"),
        'op.create_foreign_key("fk", "p", "tenants", ["tenant_id"], ["id"])',
        {},
        False,
    ),
    (
        "foreign key to the primary key by SQL",
        rows(f"(1, '{GHOST}')", columns="id, tenant_id"),
        'op.execute("ALTER TABLE p ADD FOREIGN KEY (tenant_id) REFERENCES tenants")',
        {"orphan": 1},
        True,
    ),
    (
        "foreign key not valid",
        rows(f"(1, '{GHOST}')", columns="id, tenant_id"),
        'op.create_foreign_key("fk", "p", "tenants", ["tenant_id"], ["id"], postgresql_not_valid=True)',
        {},
        False,
    ),
    (
        "foreign key not valid, then validated",
        rows(f"(1, '{GHOST}')", columns="id, tenant_id"),
        """
        op.execute("ALTER TABLE p ADD CONSTRAINT fk FOREIGN KEY (tenant_id) REFERENCES tenants NOT VALID")
        op.execute("ALTER TABLE p VALIDATE CONSTRAINT fk")
        """,
        {"orphan": 1},
        True,
    ),
    (
        "an old foreign key is validated",
        rows(f"(1, '{GHOST}')", columns="id, tenant_id")
        + "ALTER TABLE p ADD CONSTRAINT fk FOREIGN KEY (tenant_id) REFERENCES tenants NOT VALID",
        'op.execute("ALTER TABLE p VALIDATE CONSTRAINT fk")',
        {"orphan": 1},
        True,
    ),
    (
        "foreign key of two columns, MATCH FULL",
        (
            "CREATE TABLE a (x int, y int, PRIMARY KEY (x, y)); INSERT INTO a VALUES (1, 1);"
            "CREATE TABLE p (id int PRIMARY KEY, x int, y int);"
            "INSERT INTO p VALUES (1, 1, 1), (2, NULL, NULL), (3, 1, NULL), (4, 1, 2)"
        ),
        'op.execute("ALTER TABLE p ADD FOREIGN KEY (x, y) REFERENCES a MATCH FULL")',
        {"orphan": 2},
        True,
    ),
    (
        "foreign key of two columns, MATCH SIMPLE",
        (
            "CREATE TABLE a (x int, y int, PRIMARY KEY (x, y)); INSERT INTO a VALUES (1, 1);"
            "CREATE TABLE p (id int PRIMARY KEY, x int, y int);"
            "INSERT INTO p VALUES (1, 1, 1), (2, NULL, NULL), (3, 1, NULL), (4, 1, 2)"
        ),
        'op.create_foreign_key("fk", "p", "a", ["x", "y"], ["x", "y"])',
        {"orphan": 1},
        True,
    ),
    (
        "foreign key of another type",
        rows(f"(1, '{ONE}')"),
        'op.create_foreign_key("fk", "p", "tenants", ["tenant"], ["id"])',
        {},
        True,
    ),
    (
        "foreign key to its own table",
        "CREATE TABLE p (id int PRIMARY KEY, boss int); INSERT INTO p VALUES (1, NULL), (2, 1), (3, 9)",
        'op.create_foreign_key("fk", "p", "p", ["boss"], ["id"])',
        {"orphan": 1},
        True,
    ),
    (
        "not null",
        rows("(1, 1)", "(2, NULL)", columns="id, n"),
        'op.alter_column("p", "n", nullable=False)',
        {"null": 1},
        True,
    ),
    (
        "not null on an empty table",
        TENANTS,
        'op.alter_column("p", "n", nullable=False)',
        {},
        False,
    ),
    (
        "a new column without a default",
        rows("(1, 'x')", "(2, 'x')"),
        'op.add_column("p", sa.Column("flag", sa.Boolean, nullable=False))',
        {"null": 2},
        True,
    ),
    (
        "a new column with a default",
        rows("(1, 'x')"),
        'op.add_column("p", sa.Column("flag", sa.Boolean, nullable=False, server_default="true"))',
        {},
        False,
    ),
    (
        "a new serial column",
        rows("(1, 'x')"),
        'op.execute("ALTER TABLE p ADD COLUMN s serial, ADD COLUMN i int GENERATED ALWAYS AS IDENTITY")',
        {},
        False,
    ),
    (
        "unique",
        rows("(1, 'a')", "(2, 'a')", "(3, 'b')", "(4, NULL)", "(5, NULL)", columns="id, email"),
        'op.create_unique_constraint("un", "p", ["email"])',
        {"duplicate": 2},
        True,
    ),
    (
        "unique index on an expression, partial",
        rows("(1, 'a', 1)", "(2, 'A', 1)", "(3, 'b', 1)", "(4, 'B', 2)", columns="id, email, n"),
        """
        op.create_index("ix", "p", [sa.text("lower(email) text_pattern_ops DESC")], unique=True,
            postgresql_where=sa.text("n = 1"))
        """,
        {"duplicate": 2},
        True,
    ),
    (
        "primary key",
        "CREATE TABLE p (a int, b int); INSERT INTO p VALUES (1, 1), (1, 1), (1, NULL)",
        'op.create_primary_key("pk", "p", ["a", "b"])',
        {"duplicate": 2, "null": 1},
        True,
    ),
    (
        "check",
        rows("(1, 1)", "(2, -1)", "(3, NULL)", columns="id, n"),
        'op.create_check_constraint("ck", "p", "p.n > 0")',
        {"violation": 1},
        True,
    ),
    (
        "check that cannot be computed",
        rows("(1, 0)", columns="id, n"),
        'op.create_check_constraint("ck", "p", "10 / n > 0")',
        {},
        True,
    ),
    (
        "text to uuid",
        rows(f"(1, '{ONE}')", "(2, 'x')", "(3, '')", f"(4, upper('{GHOST}'))", f"(5, ' {ONE}')", "(6, NULL)"),
        'op.alter_column("p", "tenant", type_=sa.Uuid, postgresql_using="tenant::uuid")',
        {"malformed": 2, "empty": 1, "normalised": 1},
        True,
    ),
    (
        "text to uuid, clean",
        rows(f"(1, '{ONE}')", f"(4, upper('{GHOST}'))", "(6, NULL)"),
        'op.alter_column("p", "tenant", type_=sa.Uuid, postgresql_using="tenant::uuid")',
        {"normalised": 1},
        False,
    ),
    (
        "text to uuid without USING",
        rows(f"(1, '{ONE}')"),
        'op.alter_column("p", "tenant", type_=sa.Uuid)',
        {},
        True,
    ),
    (
        "text to uuid by an expression that knows lower case only",
        rows(f"(1, '{ONE}')", "(2, 'x')", "(3, '')", f"(4, upper('{GHOST}'))", "(6, NULL)"),
        """
        op.execute('''ALTER TABLE p ALTER COLUMN tenant TYPE uuid USING CASE WHEN tenant ~ '^[0-9a-f-]{36}$'
          THEN tenant::uuid ELSE '00000000-0000-0000-0000-000000000000' END''')
        """,
        {"malformed": 1, "empty": 1, "replaced": 1, "null": 1},
        False,
    ),
    (
        "text to uuid by an expression that fails",
        rows(f"(1, '{ONE}')", "(2, 'x')", "(3, '')"),
        'op.alter_column("p", "tenant", type_=sa.Uuid, postgresql_using="trim(tenant)::uuid")',
        {"malformed": 1, "empty": 1},
        True,
    ),
    (
        "a shorter text",
        rows("(1, 'abc')", "(2, 'abcdef')", "(3, 'abc    ')"),
        'op.alter_column("p", "tenant", type_=sa.String(4))',
        {"malformed": 1, "normalised": 1},
        True,
    ),
    (
        "a shorter text, clean",
        rows("(1, 'abc')", "(3, 'abc   ')"),
        'op.alter_column("p", "tenant", type_=sa.String(4))',
        {"normalised": 1},
        False,
    ),
    (
        "a rounder number",
        rows("(1, 1.5)", "(2, 1.25)", columns="id, amount"),
        'op.alter_column("p", "amount", type_=sa.Numeric(10, 1))',
        {"normalised": 2},
        False,
    ),
    (
        "a number too large",
        rows("(1, 15000)", columns="id, amount"),
        'op.alter_column("p", "amount", type_=sa.Numeric(4, 1))',
        {},
        True,
    ),
    (
        "a number too large for text",
        rows("(1, 1234)", "(2, 12)", columns="id, n"),
        'op.alter_column("p", "n", type_=sa.String(2))',
        {"malformed": 1},
        True,
    ),
    (
        "text to a date",
        rows("(1, '2024-01-01')", "(2, '31 June')"),
        'op.alter_column("p", "tenant", type_=sa.Date, postgresql_using="tenant::date")',
        None,
        True,
    ),
    (
        "a wider number",
        rows("(1, 1)", columns="id, n"),
        'op.alter_column("p", "n", type_=sa.BigInteger)',
        {},
        False,
    ),
    (
        "a key that converting makes equal",
        rows(f"(1, '{ONE}')", f"(2, '{{{ONE}}}')") + "CREATE UNIQUE INDEX un ON p (tenant)",
        'op.alter_column("p", "tenant", type_=sa.Uuid, postgresql_using="tenant::uuid")',
        {"normalised": 1, "collision": 2},
        True,
    ),
    (
        "a new key that converting makes equal",
        rows(f"(1, '{ONE}')", f"(2, '{{{ONE}}}')", f"(3, '{GHOST}')", f"(4, '{GHOST}')"),
        """
        op.alter_column("p", "tenant", type_=sa.Uuid, postgresql_using="tenant::uuid")
        op.create_unique_constraint("un", "p", ["tenant"])
        """,
        {"normalised": 1, "collision": 2, "duplicate": 2},
        True,
    ),
    (
        "a view in the way",
        rows(f"(1, '{ONE}')") + "CREATE VIEW v AS SELECT tenant FROM p",
        'op.alter_column("p", "tenant", type_=sa.Uuid, postgresql_using="tenant::uuid")',
        {},
        True,
    ),
    (
        "a view that goes before",
        rows(f"(1, '{ONE}')") + "CREATE VIEW v AS SELECT tenant FROM p",
        """
        op.execute("DROP VIEW v")
        op.alter_column("p", "tenant", type_=sa.Uuid, postgresql_using="tenant::uuid")
        """,
        {},
        False,
    ),
    (
        "a foreign key on a column that is converted before",
        rows(f"(1, '{ONE}')", f"(2, '{{{ONE}}}')", f"(3, '{GHOST}')"),
        """
        op.alter_column("p", "tenant", type_=sa.Uuid, postgresql_using="tenant::uuid")
        op.create_foreign_key("fk", "p", "tenants", ["tenant"], ["id"])
        """,
        {"normalised": 1, "orphan": 1},
        True,
    ),
    (
        "a foreign key to a column that is converted before",
        (
            "CREATE TABLE a (id text PRIMARY KEY); CREATE TABLE p (id int PRIMARY KEY, a uuid);"
            f"INSERT INTO a VALUES ('{{{ONE}}}'); INSERT INTO p VALUES (1, '{ONE}'), (2, '{GHOST}')"
        ),
        """
        op.alter_column("a", "id", type_=sa.Uuid, postgresql_using="id::uuid")
        op.create_foreign_key("fk", "p", "a", ["a"], ["id"])
        """,
        {"normalised": 1, "orphan": 1},
        True,
    ),
    (
        "everything renamed before",
        rows("(1, NULL, 'a')", "(2, 1, 'a')", columns="id, n, email"),
        """
        op.rename_table("p", "q")
        op.alter_column("q", "n", new_column_name="m")
        op.alter_column("q", "email", new_column_name="n")
        op.alter_column("q", "m", nullable=False)
        op.create_unique_constraint("un", "q", ["n"])
        op.create_check_constraint("ck", "q", "m > 1")
        """,
        {"null": 1, "duplicate": 2, "violation": 1},
        True,
    ),
    (
        "a column that is dropped and made anew",
        rows("(1, 'x')"),
        """
        op.drop_column("p", "tenant")
        op.add_column("p", sa.Column("tenant", sa.Uuid))
        op.create_foreign_key("fk", "p", "tenants", ["tenant"], ["id"])
        """,
        {},
        False,
    ),
    (
        "a table of its own",
        "",
        """
        op.create_table("a", sa.Column("id", sa.Integer, primary_key=True), sa.Column("n", sa.Integer, unique=True))
        op.create_check_constraint("ck", "a", "n > 0")
        """,
        {},
        False,
    ),
    (
        "what is so already",
        TENANTS + "ALTER TABLE p ADD UNIQUE (email), ADD FOREIGN KEY (tenant_id) REFERENCES tenants",
        """
        op.alter_column("p", "id", nullable=False)
        op.create_unique_constraint("un", "p", ["id", "email"])
        op.create_foreign_key("fk", "p", "tenants", ["tenant_id"], ["id"])
        """,
        {},
        False,
    ),
]


@pytest.mark.parametrize(("setup", "body", "expected", "fails"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_what_it_says_is_what_happens(database, tmp_path, setup, body, expected, fails):
    if setup:
        database.execute(setup)
    audited = Audited(database, tmp_path, r1=body)
    result = audited.audit()
    if expected is not None:
        assert counts(result) == expected
    said = [each for each in result.findings if each.severity is Severity.ERROR]
    if fails:
        assert said
        with pytest.raises(sqlalchemy.exc.DBAPIError):
            audited.upgrade()
    else:
        assert said == []
        audited.upgrade()
    for each in classes(result):
        assert not each.query or isinstance(each.query, str)


@pytest.mark.parametrize(("setup", "body"), [c[1:3] for c in CASES if c[3]], ids=[c[0] for c in CASES if c[3]])
def test_every_query_lists_the_rows(database, tmp_path, setup, body):
    database.execute(setup)
    result = Audited(database, tmp_path, r1=body).audit()
    listed = [each for each in classes(result) if each.query]
    assert listed
    for each in listed:
        found = database.execute(each.query)
        assert len(found) >= each.groups if each.groups else len(found) == each.count, each.query


@pytest.mark.parametrize(
    ("statement", "settles"),
    [
        ("UPDATE p SET n = 0 WHERE n IS NULL", True),
        ("UPDATE p SET email = 'x' WHERE n IS NULL", False),
        ("WITH gone AS (DELETE FROM p WHERE n IS NULL RETURNING *) SELECT count(*) FROM gone", True),
        ("DELETE FROM tenants", False),
        ("DO $$ BEGIN UPDATE p SET n = 0 WHERE n IS NULL; END $$", True),
        ("INSERT INTO p (id, n) VALUES (9, 9)", False),
        ("SELECT setval('s', 1)", False),
        ("COMMENT ON TABLE p IS 'x'", False),
    ],
)
def test_an_earlier_statement_may_settle_rows(database, tmp_path, statement, settles):
    database.execute(rows("(1, NULL)", "(2, 2)", columns="id, n") + "CREATE SEQUENCE s")
    body = f'op.execute("""{statement}""")\nop.alter_column("p", "n", nullable=False)'
    audited = Audited(database, tmp_path, r1=body)
    result = audited.audit()
    assert counts(result) == {"null": 1}
    assert rules(result, Severity.ERROR) == (set() if settles else {"refused-rows"})
    assert ("unsettled-rows" in rules(result, Severity.WARNING)) is settles
    if settles:
        audited.upgrade()
    else:
        with pytest.raises(sqlalchemy.exc.DBAPIError):
            audited.upgrade()


def test_inserted_parents_may_settle_orphans(database, tmp_path):
    database.execute(rows(f"(1, '{GHOST}')", columns="id, tenant_id"))
    body = f"""
    op.bulk_insert(sa.table("tenants", sa.column("id", sa.Uuid)), [{{"id": "{GHOST}"}}])
    op.create_foreign_key("fk", "p", "tenants", ["tenant_id"], ["id"])
    """
    audited = Audited(database, tmp_path, r1=body)
    result = audited.audit()
    assert (counts(result), rules(result, Severity.ERROR)) == ({"orphan": 1}, set())
    assert rules(result, Severity.WARNING) == {"unsettled-rows"}


def test_what_is_not_there_yet_is_said(database, tmp_path):
    database.execute(TENANTS)
    first = 'op.create_table("a", sa.Column("id", sa.Integer, primary_key=True))\nop.add_column("p", sa.Column("a", sa.Integer))'
    second = (
        'op.create_foreign_key("fk", "p", "a", ["a"], ["id"])\nop.create_check_constraint("ck", "nowhere", "x > 0")'
    )
    result = Audited(database, tmp_path, r1=first, r2=second).audit()
    unasked = {str(each.table): (each.kind, each.reason) for table in result.tables for each in table.unasked}
    assert unasked == {
        "public.p": ("created", "created by pending revision r1: nothing to audit yet"),
        "public.nowhere": ("missing", "there is no table public.nowhere"),
    }
    assert rules(result, Severity.WARNING) == {"missing-subject"}


def test_hostile_names_in_another_schema(database, tmp_path):
    table, column, schema = 'a"b %s\n:x é', "sel\"ect'\\ %(x)s", "sch\"e'ma %"
    database.execute("CREATE SCHEMA " + psycopg.sql.Identifier(schema).as_string())
    quoted = psycopg.sql.Identifier(schema, table).as_string()
    names = [quoted, psycopg.sql.Identifier(column).as_string()]
    database.execute(
        'CREATE TABLE {0} ("ke y" int, "PK" text, {1} text, PRIMARY KEY ("ke y", "PK"), UNIQUE ({1}))'.format(*names)
    )
    database.execute(
        f"INSERT INTO {quoted} VALUES (1, 'a', '{ONE}'), (2, 'b', '{{{ONE}}}'), (3, '%', 'x%'), (4, '', NULL)"
    )
    body = f"""
    op.alter_column({table!r}, {column!r}, type_=sa.Uuid, nullable=False, schema={schema!r},
        postgresql_using={names[1]!r} + "::uuid")
    op.create_foreign_key('f"k', {table!r}, {table!r}, [{column!r}], [{column!r}], source_schema={schema!r},
        referent_schema={schema!r})
    op.create_unique_constraint("u'n", {table!r}, [{column!r}], schema={schema!r})
    """
    result = Audited(database, tmp_path, r1=body).audit()
    assert counts(result) == {"malformed": 1, "normalised": 1, "null": 1, "collision": 4}
    (malformed,) = [each for each in classes(result) if each.row_class == "malformed"]
    assert [(each.key, each.value) for each in malformed.samples] == [("(3,%)", "x%")]
    assert database.execute(malformed.query) == [(3, "%", "x%")]


def test_tables_without_a_key_are_told_by_their_place(database, tmp_path):
    database.execute("CREATE TABLE p (n int); INSERT INTO p VALUES (1), (NULL)")
    result = Audited(database, tmp_path, r1='op.alter_column("p", "n", nullable=False)').audit()
    (null, _) = classes(result)
    assert [each.key for each in null.samples] == ["(0,2)"]
    assert database.execute(null.query) == [("(0,2)", None)]


def test_a_partitioned_table_is_read_whole(database, tmp_path):
    database.execute(
        "CREATE TABLE p (id int, n int) PARTITION BY LIST (id); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);"
        "CREATE TABLE p2 PARTITION OF p DEFAULT; INSERT INTO p VALUES (1, NULL), (2, NULL), (3, 3)"
    )
    result = Audited(database, tmp_path, r1='op.alter_column("p", "n", nullable=False)').audit()
    assert counts(result) == {"null": 2}


@pytest.mark.parametrize(("length", "anew"), [(20, False), (5, True)], ids=["wider", "narrower"])
def test_an_index_is_rebuilt_if_the_column_is_rewritten(database, tmp_path, length, anew):
    database.execute("CREATE TABLE p (id int, name varchar(10)); CREATE INDEX ix ON p (name)")
    file = "SELECT pg_relation_filenode('ix')"
    before = database.execute(file)
    body = f'op.alter_column("p", "name", type_=sa.String({length}))'
    audited = Audited(database, tmp_path, r1=body)
    (fate,) = [each.fate for table in audited.audit().tables for each in table.dependents if each.kind == "index"]
    assert fate == "rebuilt if the column is rewritten, while nobody can use the table"
    audited.upgrade()
    assert (database.execute(file) != before) is anew
