"""A snapshot says what the database is: complete, under hostile names, with few queries, leaving nothing behind."""

from __future__ import annotations

from collections import Counter

import msgspec
import psycopg
import pytest

from tests.postgres.catalog_zoo import CHILD, COLUMN, FUNCTION, ROLE, SCHEMA, TABLE, VIEW, ZOO, R, S, T
from truing.catalog import session
from truing.catalog.model import Grant, OwnedBy, PublishedTable, Snapshot
from truing.catalog.read import read_sizes, read_snapshot, read_table
from truing.errors import CatalogError
from truing.names import QualifiedName, ident


@pytest.fixture
def zoo(database):
    database.role(name=ROLE)
    database.execute(ZOO)
    return database


@pytest.fixture
def snapshot(zoo):
    return read_snapshot(zoo.connect())


def named(name):
    return QualifiedName(SCHEMA, name)


def test_snapshot_travels_as_json(snapshot):
    assert msgspec.json.decode(msgspec.json.encode(snapshot), type=Snapshot) == snapshot
    assert len(snapshot.tables) == 5


def test_snapshot_knows_where_it_is_from(zoo, snapshot):
    assert (snapshot.version, snapshot.database) == (zoo.version, zoo.name)


def test_table(snapshot):
    table = snapshot.table(TABLE)
    assert table.kind == "table"
    assert table.comment == "a 'table'"
    assert table.options == ("autovacuum_enabled=off", "fillfactor=70", "toast.autovacuum_enabled=off")
    assert (table.row_security, table.force_row_security) == (True, True)
    assert Grant(grantee=ROLE, privilege="SELECT", grantor=table.owner) in table.grants
    assert {grant.grantee for grant in table.grants} == {ROLE, table.owner}
    assert table.access_method == "heap"


def test_kinds_of_tables(snapshot):
    parts, part1 = snapshot.table(named("Parts")), snapshot.table(named("part1"))
    assert (parts.kind, parts.partition_key) == ("partitioned-table", 'RANGE ("when")')
    assert (part1.parents, part1.partition_bound) == (
        (named("Parts"),),
        "FOR VALUES FROM ('2020-01-01') TO ('2021-01-01')",
    )
    assert part1.column("when").inherited
    scratch = snapshot.table(named("scratch"))
    assert (scratch.persistence, scratch.replica_identity) == ("unlogged", "full")


def test_columns(snapshot):
    table = snapshot.table(TABLE)
    assert [column.name for column in table.columns] == [
        "id", COLUMN, "size", "upper_id", "mood", "serial_number",
    ]  # fmt: skip
    column = table.column(COLUMN)
    assert column.type == "text"
    assert column.not_null
    assert column.default == "'x''y'::text"
    assert column.collation == QualifiedName("pg_catalog", "C")
    assert (column.storage, column.compression, column.statistics) == ("external", "pglz", 321)
    assert column.options == ("n_distinct=7",)
    assert column.comment == 'a "column"\nof two lines'
    assert column.grants == (Grant(grantee=ROLE, privilege="UPDATE", grantable=True, grantor=table.owner),)
    assert (column.identity, column.generated, column.expression) == ("", "", None)
    assert table.column("size").type == "numeric(10,2)"
    assert table.column("size").statistics == 0
    assert table.column("id").identity == "always"
    upper = table.column("upper_id")
    assert (upper.generated, upper.default) == ("stored", None)
    assert upper.expression == f"upper({ident(COLUMN)})"
    assert table.column("mood").type == f'{S}."Mood\'s"'
    assert table.column("mood").statistics is None
    assert table.column("serial_number").default.startswith("nextval(")


def test_positions_have_gaps_where_columns_were_dropped(zoo):
    zoo.execute(f"ALTER TABLE {T} DROP COLUMN size CASCADE")
    assert [column.position for column in read_table(zoo.connect(), TABLE).columns] == [1, 2, 4, 5, 6]


def test_constraints(snapshot):
    table = snapshot.table(TABLE)
    kinds = {constraint.name: constraint.kind for constraint in table.constraints}
    assert kinds == {
        "pk é": "primary-key", "uq": "unique", "late": "unique", "ck ": "check", "ex": "exclusion",
    }  # fmt: skip
    unique = table.constraint("uq")
    assert (unique.columns, unique.index, unique.comment) == ((COLUMN, "size"), "uq", "unique!")
    late = table.constraint("late")
    assert (late.deferrable, late.initially_deferred) == (True, True)
    check = table.constraint("ck ")
    assert check.columns == ("size", COLUMN)  # sorted by name: their place in the table says nothing
    assert check.expression == f"(({ident(COLUMN)} <> 'bad'::text) AND (size > (0)::numeric))"
    assert table.primary_key.columns == ("id",)
    assert snapshot.table(CHILD).constraint("c n").no_inherit
    assert not check.no_inherit


def test_foreign_key(snapshot):
    (key,) = snapshot.table(CHILD).foreign_keys
    assert (key.name, key.columns) == ("f'k", ("FK col", "size"))
    assert (key.references, key.referenced_columns) == (TABLE, (COLUMN, "size"))
    assert (key.on_delete, key.on_update, key.match_full) == ("SET NULL", "CASCADE", True)
    assert (key.validated, key.enforced, key.index, key.triggers_disabled) == (False, True, None, False)


def test_triggers_of_a_foreign_key_that_somebody_switched_off(zoo):
    zoo.execute(f"ALTER TABLE {CHILD.sql} DISABLE TRIGGER ALL")
    assert read_table(zoo.connect(), CHILD).foreign_keys[0].triggers_disabled


@pytest.mark.pg(">=15")
def test_set_null_of_some_columns(zoo):
    zoo.execute(
        f"CREATE TABLE {S}.some (a text, b numeric, FOREIGN KEY (a, b) REFERENCES {T}"
        f" ({ident(COLUMN)}, size) ON DELETE SET NULL (b))"
    )
    assert read_table(zoo.connect(), named("some")).foreign_keys[0].on_delete_columns == ("b",)


@pytest.mark.pg(">=18")
def test_what_18_adds_to_constraints(database):
    database.execute(
        "CREATE TABLE p (id int PRIMARY KEY);"
        "CREATE TABLE t (a int, b int, v int GENERATED ALWAYS AS (b + 1) VIRTUAL,"
        " CONSTRAINT fk FOREIGN KEY (b) REFERENCES p NOT ENFORCED, CONSTRAINT ck CHECK (a > 0) NOT ENFORCED);"
        'ALTER TABLE t ADD CONSTRAINT "n n" NOT NULL a NOT VALID'
    )
    table = read_table(database.connect(), QualifiedName("public", "t"))
    assert {c.name: c.enforced for c in table.constraints} == {"fk": False, "ck": False}
    assert [(c.name, c.columns, c.validated) for c in table.not_nulls] == [("n n", ("a",), False)]
    assert not table.column("a").not_null
    database.execute('ALTER TABLE t VALIDATE CONSTRAINT "n n"')
    assert read_table(database.connect(), QualifiedName("public", "t")).column("a").not_null
    assert (table.column("v").generated, table.column("v").expression) == ("virtual", "(b + 1)")


def test_indexes(snapshot):
    table = snapshot.table(TABLE)
    assert {index.name for index in table.indexes} == {"pk é", "uq", "late", "ex", "ix expr"}
    index = table.index("ix expr")
    assert index.columns == (None, "size")
    assert index.elements == (f"lower({ident(COLUMN)})", "size")
    assert index.include == ("mood",)
    assert index.predicate == "(size > (1)::numeric)"
    assert index.statistics == ((1, 55),)
    assert (index.method, index.unique, index.primary, index.constraint) == ("btree", False, False, None)
    assert (index.valid, index.ready, index.live, index.comment) == (True, True, True, "an index")
    assert index.definition.startswith('CREATE INDEX "ix expr" ON ')
    key = table.index("pk é")
    assert (key.primary, key.unique, key.constraint) == (True, True, "pk é")


def test_index_that_failed_to_build_is_not_valid(zoo):
    connection = zoo.connect()
    connection.execute(f"INSERT INTO {S}.scratch VALUES (1), (1)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute(f"CREATE UNIQUE INDEX CONCURRENTLY broken ON {S}.scratch (a)")
    (index,) = read_table(connection, named("scratch")).indexes
    assert (index.valid, index.unique) == (False, True)


@pytest.mark.pg(">=15")
def test_nulls_not_distinct(database):
    database.execute("CREATE TABLE t (a int); CREATE UNIQUE INDEX i ON t (a) NULLS NOT DISTINCT")
    assert read_table(database.connect(), QualifiedName("public", "t")).index("i").nulls_not_distinct


def test_policies(snapshot):
    table = snapshot.table(TABLE)
    everybody, restrictive = table.policies
    assert (everybody.command, everybody.permissive, everybody.roles, everybody.using, everybody.check) == (
        "SELECT", True, ("public",), "true", None,
    )  # fmt: skip
    assert (restrictive.name, restrictive.command, restrictive.permissive) == ("p'1", "UPDATE", False)
    assert set(restrictive.roles) == {ROLE, table.owner}
    assert restrictive.using == f"({ident(COLUMN)} = current_setting('app.tenant'::text, true))"
    assert (restrictive.check, restrictive.comment) == ("(size > (0)::numeric)", "a policy")


def test_triggers_rules_and_statistics(snapshot):
    table = snapshot.table(TABLE)
    (trigger,) = table.triggers
    assert (trigger.name, trigger.enabled, trigger.columns, trigger.row) == ("t'r", "always", (COLUMN, "size"), True)
    assert (trigger.function, trigger.comment) == (FUNCTION, "a trigger")
    assert "WHEN ((old.size <> new.size))" in trigger.definition
    (rule,) = snapshot.table(CHILD).rules
    assert (rule.name, rule.enabled) == ("r'u", "origin")
    (statistic,) = table.statistics
    assert (statistic.name, statistic.columns, statistic.target) == (named("st é"), (COLUMN, "size"), 77)


def test_views(snapshot):
    view = snapshot.view(VIEW)
    assert view.definition.strip().startswith("SELECT")
    assert (view.options, view.comment, view.materialized) == (("security_barrier=true",), "a view", False)
    assert [column.name for column in view.columns] == ["id", "the id", "size"]
    assert view.columns[1].comment == "its column"
    assert view.columns[1].grants == (Grant(grantee="public", privilege="UPDATE", grantor=view.owner),)
    assert Grant(grantee=ROLE, privilege="SELECT", grantor=view.owner) in view.grants
    matview = snapshot.view(named("Mat"))
    assert (matview.materialized, matview.populated) == (True, False)
    assert [index.name for index in matview.indexes] == ["mat ix"]


def test_sequences(snapshot):
    sequences = {sequence.name.name: sequence for sequence in snapshot.sequences}
    free = sequences["free"]
    assert (free.increment, free.cache, free.cycle, free.maximum, free.owned_by) == (5, 10, True, 500, None)
    owned = {sequence.owned_by for sequence in snapshot.sequences} - {None}
    assert owned == {
        OwnedBy(table=TABLE, column="id", identity=True),
        OwnedBy(table=TABLE, column="serial_number", identity=False),
    }


def test_functions(snapshot):
    functions = {(function.name.name, function.arguments): function for function in snapshot.functions}
    assert set(functions) == {
        ("Touch It", ""), ("Touch It", 'a integer, "B b" text'), ("proc", ""), ("total", "integer"),
    }  # fmt: skip
    plain = functions["Touch It", 'a integer, "B b" text']
    assert (plain.returns, plain.language, plain.comment, plain.atomic) == ("integer", "sql", "a function", False)
    assert {grant.grantee for grant in plain.grants} == {plain.owner}
    assert {grant.grantee for grant in functions["Touch It", ""].grants} == {plain.owner, "public"}
    assert (functions["proc", ""].kind, functions["proc", ""].returns) == ("procedure", None)
    assert "SFUNC int4pl, STYPE integer" in functions["total", "integer"].definition


def test_function_of_another_schema_is_shown_when_a_table_needs_it(database):
    database.execute(
        "CREATE SCHEMA a; CREATE SCHEMA b;"
        "CREATE FUNCTION b.needed() RETURNS int LANGUAGE sql AS 'SELECT 1';"
        "CREATE FUNCTION b.other() RETURNS int LANGUAGE sql AS 'SELECT 1';"
        "CREATE TABLE a.t (x int DEFAULT b.needed())"
    )
    snapshot = read_snapshot(database.connect(), include=["a"])
    assert [function.name for function in snapshot.functions] == [QualifiedName("b", "needed")]


def test_types(snapshot):
    types = {value.name.name: value for value in snapshot.types}
    assert set(types) == {"Mood's", "code", "pair", "span"}
    assert types["Mood's"].labels == ("sad", 'it\'s "ok"')
    code = types["code"]
    assert (code.kind, code.base, code.not_null, code.default) == ("domain", "text", True, "'x'::text")
    assert code.collation == QualifiedName("pg_catalog", "C")
    assert [constraint.name for constraint in code.constraints] == ["not empty"]
    assert [(column.name, column.type) for column in types["pair"].columns] == [("a", "integer"), ("B b", "text[]")]
    assert types["span"].base == "double precision"


def test_schemas_and_publications(snapshot):
    schemas = {schema.name: schema for schema in snapshot.schemas}
    assert set(schemas) == {"public", SCHEMA}
    assert any(grant.grantee == ROLE for grant in schemas[SCHEMA].grants)
    (publication,) = snapshot.publications
    assert (publication.name, publication.operations) == ("pub é", ("insert", "delete"))
    assert publication.tables == (PublishedTable(table=TABLE),)


@pytest.mark.pg(">=15")
def test_publication_with_columns_filter_and_schema(zoo):
    zoo.execute(
        f"CREATE PUBLICATION p2 FOR TABLE {T} (id, {ident(COLUMN)}) WHERE (id > 1);"
        "CREATE PUBLICATION p3 FOR TABLES IN SCHEMA public"
    )
    publications = {value.name: value for value in read_snapshot(zoo.connect()).publications}
    assert publications["p2"].tables == (PublishedTable(table=TABLE, columns=("id", COLUMN), where="(id > 1)"),)
    assert publications["p3"].schemas == ("public",)


def test_what_is_left_out_is_counted(database):
    connection = database.connect()
    connection.execute(
        "CREATE EXTENSION pg_trgm; CREATE SCHEMA _truing; CREATE TABLE _truing.op (a int);"
        "CREATE SCHEMA other; CREATE TABLE other.t (a int); CREATE TABLE kept (a int); CREATE TEMP TABLE tmp (a int)"
    )
    snapshot = read_snapshot(connection, exclude=["other"])
    assert [table.name.name for table in snapshot.tables] == ["kept"]
    assert snapshot.functions == snapshot.types == ()
    assert [schema.name for schema in snapshot.schemas] == ["public"]
    assert (snapshot.left_out.own, snapshot.left_out.other_schemas, snapshot.left_out.temporary) == (1, 1, 1)
    assert snapshot.left_out.extension_members > 20
    assert [extension.name for extension in snapshot.extensions] == ["pg_trgm", "plpgsql"]


def test_only_some_schemas(database):
    database.execute("CREATE SCHEMA a; CREATE TABLE a.t (x int); CREATE TABLE public.t (x int)")
    snapshot = read_snapshot(database.connect(), include=["a"])
    assert [table.name for table in snapshot.tables] == [QualifiedName("a", "t")]
    assert [schema.name for schema in snapshot.schemas] == ["a"]


def test_schema_that_is_not_there(database):
    with pytest.raises(CatalogError, match='There is no schema "We Ird"'):
        read_snapshot(database.connect(), include=["public", "We Ird"])


def statements(monkeypatch, database, tables):
    """Read a database of so many tables; count the statements that reach the server."""
    database.execute("CREATE SCHEMA many")
    database.execute(
        ";".join(
            f"CREATE TABLE many.t{n} (id int PRIMARY KEY, a text, b int REFERENCES many.t{n});"
            f"CREATE INDEX ON many.t{n} (a); CREATE VIEW many.v{n} AS SELECT a FROM many.t{n};"
            f"ALTER TABLE many.t{n} ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON many.t{n} USING (a = 'x')"
            for n in range(tables)
        )
    )
    seen = []
    execute = psycopg.Cursor.execute

    def counting(self, query, *args, **kwargs):
        seen.append(query)
        return execute(self, query, *args, **kwargs)

    monkeypatch.setattr(psycopg.Cursor, "execute", counting)
    snapshot = read_snapshot(database.connect())
    monkeypatch.undo()
    assert len(snapshot.tables) == tables
    assert all(table.policies and table.indexes and table.foreign_keys for table in snapshot.tables)
    return len(seen)


def test_number_of_queries_does_not_depend_on_the_number_of_tables(monkeypatch, make_database):
    few = statements(monkeypatch, make_database(), 3)
    many = statements(monkeypatch, make_database(), 300)
    assert few == many
    assert many < 30


def test_a_role_that_may_only_connect_sees_the_same(zoo, snapshot):
    role = zoo.role()
    zoo.execute(f"REVOKE USAGE ON SCHEMA public FROM PUBLIC; REVOKE ALL ON DATABASE {ident(zoo.name)} FROM PUBLIC")
    zoo.execute(f"GRANT CONNECT ON DATABASE {ident(zoo.name)} TO {role}")
    expected = read_snapshot(zoo.connect())
    with psycopg.connect(zoo.url_as(role), autocommit=True) as connection:
        assert read_snapshot(connection) == expected
        assert read_table(connection, TABLE) == snapshot.table(TABLE)
        assert set(read_sizes(connection)) == {table.name for table in snapshot.tables}


SETTINGS_SHOWN = "SELECT array_agg(current_setting(n) ORDER BY n) FROM unnest(%s::text[]) AS s (n)"


def shown(connection):
    return connection.execute(SETTINGS_SHOWN, [list(session._SETTINGS)]).fetchone()


@pytest.mark.parametrize("autocommit", [True, False])
def test_nothing_is_left_in_the_session(zoo, autocommit):
    connection = zoo.connect(autocommit=autocommit)
    connection.execute("SET search_path = public; SET TimeZone = 'Asia/Tokyo'; SET lock_timeout = '7s'")
    connection.commit()
    before = shown(connection)
    connection.commit()
    read_snapshot(connection)
    assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    assert shown(connection) == before
    assert connection.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)


def test_inside_a_transaction_it_sees_what_was_done_there(zoo):
    connection = zoo.connect()
    with connection.transaction():
        connection.execute("CREATE TABLE public.fresh (a int)")
        before = shown(connection)
        assert read_table(connection, QualifiedName("public", "fresh")) is not None
        assert shown(connection) == before
        # The savepoint was read-only; the transaction is not.
        connection.execute("INSERT INTO public.fresh VALUES (1)")
    assert zoo.execute("SELECT count(*) FROM public.fresh") == [(1,)]


def test_a_failed_transaction_is_refused(zoo):
    connection = zoo.connect(autocommit=False)
    with pytest.raises(psycopg.errors.DivisionByZero):
        connection.execute("SELECT 1/0")
    with pytest.raises(CatalogError, match="INERROR"):
        read_snapshot(connection)


def test_the_transaction_is_read_only_and_repeatable(database):
    with session.reading(database.connect()) as reader:
        assert reader.execute("SHOW transaction_isolation") == [("repeatable read",)]
        assert reader.execute("SHOW transaction_read_only") == [("on",)]


def test_a_cursor_factory_or_row_factory_of_the_callers_does_not_matter(zoo, snapshot):
    connection = zoo.connect(row_factory=psycopg.rows.dict_row, cursor_factory=psycopg.ClientCursor)
    assert read_snapshot(connection) == snapshot


def test_a_temporary_table_named_like_a_catalog_is_not_read(zoo, snapshot):
    connection = zoo.connect()
    connection.execute("CREATE TEMP TABLE pg_class (oid oid)")
    tables = read_snapshot(connection).tables
    assert tables == snapshot.tables


def test_a_lock_somebody_holds_ends_in_a_message(zoo, monkeypatch):
    monkeypatch.setitem(session._SETTINGS, "lock_timeout", "50")
    holder = zoo.connect(autocommit=False)
    holder.execute(f"LOCK TABLE {T} IN ACCESS EXCLUSIVE MODE")
    with pytest.raises(CatalogError, match="exclusive lock"):
        read_snapshot(zoo.connect())


def test_an_object_that_vanishes_while_it_is_read_is_read_again(zoo, monkeypatch):
    """Another session drops the index between the query that lists it and the function that prints it."""
    other = zoo.connect()
    calls = Counter()
    values = session.Reader.values

    def dropping(self, name, row_type, parameters=None):
        calls[name] += 1
        if name == "indexes" and calls[name] == 1:
            other.execute(f'DROP INDEX {S}."ix expr"')
        return values(self, name, row_type, parameters)

    monkeypatch.setattr(session.Reader, "values", dropping)
    snapshot = read_snapshot(zoo.connect())
    assert calls["indexes"] == 2
    assert snapshot.table(TABLE).index("ix expr") is None


def test_read_table(zoo, snapshot):
    assert read_table(zoo.connect(), TABLE) == snapshot.table(TABLE)
    assert read_table(zoo.connect(), VIEW) is None
    assert read_table(zoo.connect(), named("nothing")) is None


def test_sizes(database):
    database.execute(
        "CREATE TABLE t (a int PRIMARY KEY) WITH (autovacuum_enabled = off);"
        "CREATE TABLE never (a int) WITH (autovacuum_enabled = off);"
        "CREATE TABLE p (a int) PARTITION BY RANGE (a);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);"
        "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20);"
        "INSERT INTO t SELECT generate_series(1, 1000);"
        "INSERT INTO p SELECT generate_series(0, 19); ANALYZE t; ANALYZE p1; ANALYZE p2"
    )
    sizes = {name.name: size for name, size in read_sizes(database.connect()).items()}
    assert sizes["t"].rows == 1000
    assert sizes["t"].table_bytes > 0 < sizes["t"].index_bytes
    assert sizes["t"].total_bytes == sizes["t"].table_bytes + sizes["t"].index_bytes
    assert sizes["never"].rows is None
    assert sizes["p"].rows == 20
    assert sizes["p"].table_bytes == sizes["p1"].table_bytes + sizes["p2"].table_bytes


def test_table_of_another_owner_shows_its_grants(zoo):
    zoo.execute(f"ALTER TABLE {CHILD.sql} OWNER TO {R}")
    table = read_table(zoo.connect(), CHILD)
    assert table.owner == ROLE
    assert {grant.grantor for grant in table.grants} == {ROLE}
