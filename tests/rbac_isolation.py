"""Is what one tenant may do to the rows of another what the matrix says, for whatever the catalog holds?

In: a database at head with two tenants, and the expected matrix. Out: one line for each cell that is otherwise. Tables,
views, sequences and functions come from the catalog, so that one made tomorrow has no cell, and that is a line too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import msgspec
import psycopg
from sqlalchemy import create_engine

from tests.fix_server import Database
from tests.supabase import claims
from truing.names import QualifiedName, ident, literal
from truing.rbac import access, program
from truing.rbac.program.binding import Binding

Connection = psycopg.Connection[Any]
SECRET = b"a secret of thirty-two bytes, or more"
SIDES = ("own", "other", "none")
REFUSED = "42501"
# The policies of the legacy schema that ask the claims of a token, which is a setting too.
AROUND = """
ALTER POLICY profiles_jwt_read ON profiles TO rbac_admin;
ALTER POLICY sidebar_features_jwt_read ON sidebar_features TO rbac_admin;
"""
UNKNOWN = (
    "is missing. Write which rows the application sees into RELATIONS of test_rbac_isolation.py, and put a row of each"
    " tenant into it in FILL of rbac_isolation.py"
)

FILL = """
INSERT INTO permissions (name) VALUES ('doc.read');
INSERT INTO feature_flags (name, default_enabled) VALUES ('docs', true);
DO $$ DECLARE t uuid; p uuid; r integer; BEGIN
  FOREACH t IN ARRAY ARRAY[{own}, {other}]::uuid[] LOOP
    INSERT INTO tenants (id, name, slug) VALUES (t, 'T', left(t::text, 8));
    INSERT INTO roles (tenant_id, name) VALUES (t, 'boss');
    INSERT INTO roles (tenant_id, name) VALUES (t, 'reader') RETURNING id INTO r;
    INSERT INTO role_permissions (tenant_id, role_id, permission_id) SELECT t, r, id FROM permissions;
    INSERT INTO role_inherits (tenant_id, role_id, parent_id) SELECT t, id, r FROM roles WHERE tenant_id = t AND id <> r;
    INSERT INTO role_grants (tenant_id, role_id, grantable_role_id) SELECT t, r, r;
    INSERT INTO profiles (tenant_id, email, role) VALUES (t, 'x@example.org', 'reader') RETURNING id INTO p;
    INSERT INTO user_roles (tenant_id, user_id, role_id) VALUES (t, p, r);
    INSERT INTO tenant_features (tenant_id, feature_id, is_enabled) SELECT t, id, true FROM feature_flags;
    INSERT INTO sidebar_features (feature_id, tenant_id, sidebar_name, url_path) SELECT id, t, 'S', '/s' FROM feature_flags;
  END LOOP;
END $$;
INSERT INTO sidebar_features (feature_id, is_global, sidebar_name, url_path)
  SELECT id, g, 'G', '/g' FROM feature_flags, unnest(ARRAY[true, false]) g;
"""


class Kind(msgspec.Struct, frozen=True):
    """What the application may do with a relation.

    Attributes:
        sees: which rows, as a condition on them with ``{tenant}`` for the transaction's tenant; None: it is refused.
        whose: the column that holds a row's tenant, for relations that must have rows of both to prove anything.
    """

    sees: str | None
    whose: str | None = None


class Isolated:
    """Two tenants with a row of everything, and logins of the application in each and in none."""

    def __init__(self, database: Database, *, bind: Binding) -> None:
        self.database, self.bind = database, bind
        engine = create_engine(database.url)
        with engine.begin() as installing:
            if bind == "supabase":
                # The revisions have made this one, with its own roles.
                program.install(installing)
            else:
                if bind != "setting":
                    installing.exec_driver_sql(AROUND)
                program.install(installing, application="app_user", administrator="rbac_admin", bind=bind)
        engine.dispose()
        self.tenants: Mapping[str, UUID | None] = {"own": uuid4(), "other": uuid4(), "none": None}
        self.admin = database.connect()
        self.admin.execute(FILL.format(**{each: literal(str(self.tenants[each])) for each in ("own", "other")}))
        if bind == "supabase":
            self.logins, self.role = dict.fromkeys(SIDES, "authenticator"), "authenticated"
        else:
            self.logins, self.role = {each: database.role("LOGIN IN ROLE app_user") for each in SIDES}, "app_user"
        if bind == "role":
            for side in ("own", "other"):
                self.admin.execute("SELECT rbac.bind_role(%s, %s)", [self.logins[side], self.tenants[side]])
        if bind == "signed":
            self.admin.execute("SELECT rbac.rotate_tenant_key(%s)", [SECRET])
        self.profiles = {
            side: self.admin.execute("SELECT id FROM profiles WHERE tenant_id = %s", [tenant]).fetchone()[0]
            for side, tenant in self.tenants.items()
            if tenant
        }
        self.users = {side: self.profiles.get(side, uuid4()) for side in SIDES}

    def value(self, side: str) -> str:
        """What the application sets there."""
        tenant = self.tenants[side]
        if self.bind == "supabase":
            return claims(self.users[side], tenant)
        if tenant is None:
            return ""
        return access.sign(tenant, SECRET) if self.bind == "signed" else str(tenant)

    @contextmanager
    def within(self, side: str) -> Iterator[Connection]:
        """A transaction of the application in this tenant, which is rolled back."""
        with psycopg.connect(self.database.dsn, user=self.logins[side]) as connection:
            self.enter(connection, side)
            yield connection
            connection.rollback()

    def enter(self, connection: Connection, side: str) -> None:
        """Begin the transaction as the application does."""
        if self.bind == "supabase":
            connection.execute("SELECT set_config('role', %s, true)", [self.role])
        setting = "request.jwt.claims" if self.bind == "supabase" else "app.tenant_id"
        connection.execute("SELECT set_config(%s, %s, true)", [setting, self.value(side)])

    def rows(self, query: str, *parameters: Any) -> list[Any]:
        return self.admin.execute(query, parameters).fetchall()

    def relations(self) -> list[tuple[str, str, str, bool]]:
        """Schema, name, kind and security_invoker of all that can be read from."""
        return self.rows(
            "SELECT n.nspname, c.relname, c.relkind::text,"
            " coalesce(array_to_string(c.reloptions, ',') ~ 'security_invoker=(true|on|1)', false)"
            " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')"
            " AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1, 2"
        )

    def functions(self) -> list[tuple[str, str, list[str], list[str]]]:
        """Schema, name, and the names and types of the arguments of all that can be called."""
        return self.rows(
            "SELECT n.nspname, p.proname, coalesce(p.proargnames[:p.pronargs], '{}'),"
            " ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) t)"
            " FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
            " WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
            " AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e') ORDER BY 1, 2"
        )


Matrix = tuple[Mapping[str, Kind], Mapping[str, Any], frozenset[str]]


def deviations(it: Isolated, matrix: Matrix, only: str = "") -> tuple[int, list[str]]:
    """Try every cell.

    Args:
        it: the database.
        matrix: relation -> kind; function -> what it answers about another tenant; schemas that are closed.
        only: the one relation or function to try, with its schema; empty for all.

    Returns:
        How many cells were tried, and what was not as it should be.
    """
    cells = [*_schemas(it, matrix), *_relations(it, matrix, only)]
    for schema, name, arguments, types in it.functions():
        if only not in ("", f"{schema}.{name}"):
            continue
        signature = list(zip(arguments, types, strict=True))
        cells += [
            (f"{schema}.{name}() · {what}", said) for what, said in _function(it, schema, name, signature, matrix)
        ]
    return len(cells), [f"{what}: {problem}" for what, problem in cells if problem]


def _schemas(it: Isolated, matrix: Matrix) -> Iterator[tuple[str, str]]:
    for (schema,) in it.rows("SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_'"):
        may = it.rows(
            "SELECT has_schema_privilege(%s, %s, each) FROM unnest(%s::text[]) each",
            it.role,
            schema,
            ["USAGE", "CREATE"],
        )
        if schema in matrix[2]:
            yield f"schema {schema} · USAGE", "is allowed, and must be refused" if may[0][0] else ""
        yield f"schema {schema} · CREATE", "is allowed, and must be refused" if may[1][0] else ""


def _relations(it: Isolated, matrix: Matrix, only: str) -> Iterator[tuple[str, str]]:
    kinds, _, closed = matrix
    for schema, name, relkind, invoker in it.relations():
        kind = Kind(None) if schema in closed or relkind == "S" else kinds.get(name)
        where = f"{schema}.{name}"
        if only not in ("", where):
            continue
        if kind is None:
            yield f"{where} · entry", UNKNOWN
            continue
        if relkind == "v" and kind.sees is not None:
            yield f"{where} · security_invoker", "" if invoker else "is not set, so its owner's rights show the rows"
        relation = _Relation(it, schema, name, relkind, kind)
        for side in SIDES:
            yield from ((f"{where} · {what} · {side}", problem) for what, problem in relation.try_all(side))
        yield from ((f"{where} · rows", problem) for problem in relation.vacuous())


class _Relation:
    def __init__(self, it: Isolated, schema: str, name: str, relkind: str, kind: Kind) -> None:
        self.it, self.relkind, self.kind = it, relkind, kind
        self.sql = QualifiedName(schema, name).sql
        # A view of two tables takes no rows whoever it is: the server says so before it looks at privileges.
        self.refusals = (REFUSED, "55000") if relkind == "v" else (REFUSED,)
        # A sequence is a relation that has no row type.
        self.row = "t.last_value::text" if relkind == "S" else "t::text"
        columns = it.rows(
            "SELECT attname, attgenerated::text || attidentity::text FROM pg_attribute"
            " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            self.sql,
        )
        self.columns = [column for column, _ in columns]
        self.written = [ident(column) for column, special in columns if special not in ("s", "a")]

    def wanted(self, side: str) -> list[str]:
        if self.kind.sees is None:
            return []
        tenant = self.it.tenants[side]
        condition = self.kind.sees.format(tenant="NULL" if tenant is None else literal(str(tenant)))
        return sorted(row for (row,) in self.it.rows(f"SELECT t::text FROM {self.sql} t WHERE {condition}"))

    def vacuous(self) -> list[str]:
        if self.kind.whose is None:
            return []
        seen = {row[0] for row in self.it.rows(f"SELECT DISTINCT {ident(self.kind.whose)} FROM {self.sql}")}
        return [
            f"has no row of the tenant {side}, so that nothing is proved; add one to FILL of rbac_isolation.py"
            for side in ("own", "other")
            if self.it.tenants[side] not in seen
        ]

    def try_all(self, side: str) -> Iterator[tuple[str, str]]:
        """Try everything from this side: the statement, and what was wrong (empty: nothing)."""
        wanted = self.wanted(side)
        for what, read in self.reads().items():
            try:
                with self.it.within(side) as connection:
                    seen = read(connection)
            except psycopg.Error as error:
                said = f"{error.sqlstate} {error}".strip()
                yield what, "" if self.kind.sees is None and error.sqlstate == REFUSED else f"is refused: {said}"
                continue
            if self.kind.sees is None:
                yield what, f"shows {len(seen)} rows, and must be refused"
            else:
                more, fewer = set(seen) - set(wanted), set(wanted) - set(seen)
                problem = f"shows {len(more)} rows too many, {len(fewer)} too few" if more or fewer else ""
                yield what, problem
        for what, statements in self.writes().items():
            said = {self._refusal(side, statement) for statement in statements}
            if None in said:
                yield what, "is allowed, and must be refused"
            elif any(not each.startswith(self.refusals) for each in said if each):
                yield what, f"fails otherwise than by privilege: {sorted(filter(None, said))}"
            else:
                # One text whether the row is there, is another tenant's or is not there at all: no oracle.
                yield what, "" if len(said) == 1 else f"says different things: {sorted(filter(None, said))}"

    def _refusal(self, side: str, statement: str) -> str | None:
        try:
            with self.it.within(side) as connection:
                if statement.startswith("COPY"):
                    with connection.cursor().copy(statement) as copy:
                        copy.write("\\N\n")
                else:
                    connection.execute(statement)
        except psycopg.Error as error:
            diag = error.diag
            told = (error.sqlstate, diag.message_primary, diag.message_detail, diag.message_hint, diag.constraint_name)
            return " ".join(filter(None, told))
        return None

    def reads(self) -> Mapping[str, Callable[[Connection], list[str]]]:
        query = f"SELECT {self.row} FROM {self.sql} t"

        def execute(*statements: str) -> Callable[[Connection], list[str]]:
            def read(connection: Connection) -> list[str]:
                for statement in statements[:-1]:
                    connection.execute(statement)
                return [row for (row,) in connection.execute(statements[-1]).fetchall()]

            return read

        def copied(connection: Connection) -> list[str]:
            with connection.cursor().copy(f"COPY ({query}) TO STDOUT (FORMAT binary)") as copy:
                copy.set_types(["text"])
                return [row[0] for row in copy.rows()]

        def leaked(connection: Connection) -> list[str]:
            """What a function that costs nothing, and so is called first, has seen."""
            heard: list[str] = []
            connection.add_notice_handler(lambda notice: heard.append(notice.message_primary or ""))
            connection.execute(
                "CREATE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001"
                " AS $$ BEGIN RAISE NOTICE '%', $1; RETURN true; END $$"
            )
            connection.execute(f"SELECT FROM {self.sql} t WHERE pg_temp.leak({self.row})")
            return heard

        found = {
            "SELECT": execute(query),
            "COPY TO": copied,
            "a function that tells, in WHERE": leaked,
            "a prepared statement": execute(f"PREPARE p AS {query}", "EXECUTE p"),
            "row_security = off, shadowed path": execute("SET LOCAL search_path = pg_temp, pg_catalog", query),
            "a view of one's own": execute(f"CREATE TEMP VIEW mine (t) AS {query}", "SELECT t FROM pg_temp.mine"),
        }
        if self.relkind in ("r", "p"):
            found["TABLESAMPLE"] = execute(f"{query} TABLESAMPLE SYSTEM (100)")
            found["COPY table TO"] = lambda connection: self._copy_table(connection, query)
        return found

    def _copy_table(self, connection: Connection, query: str) -> list[str]:
        with connection.cursor().copy(f"COPY {self.sql} TO STDOUT") as copy:
            lines = len(list(copy.rows()))
        # A line has another form than a row; the number is what it can tell.
        seen = [row for (row,) in connection.execute(query).fetchall()]
        return seen if lines == len(seen) else ["another number of lines"] * lines

    def writes(self) -> Mapping[str, tuple[str, ...]]:
        """What changes or locks: statements that must all be refused, in the same words."""
        if self.relkind == "S":
            name = literal(self.sql)
            return {"nextval": (f"SELECT nextval({name})",), "setval": (f"SELECT setval({name}, 1)",)}
        names = ", ".join(self.written)
        first = self.written[0]
        # The row of the other tenant as it is (what exists would collide), and one that nobody has.
        rows = [literal(row) for (row,) in self.it.rows(f"SELECT to_jsonb(t)::text FROM {self.sql} t LIMIT 5")]
        sources = [f"jsonb_populate_record(NULL::{self.sql}, {row}::jsonb)" for row in (*rows, literal("{}"))]
        inserts = [f"INSERT INTO {self.sql} ({names}) SELECT {names} FROM {source}" for source in sources]
        whose = self._whose()
        merge = f"MERGE INTO {self.sql} t USING (VALUES (1)) s(x)"
        defaults = ", ".join(["DEFAULT"] * len(self.written))
        trigger = "EXECUTE FUNCTION pg_catalog.suppress_redundant_updates_trigger()"
        found = {
            "INSERT": tuple(inserts),
            "UPDATE": tuple(f"UPDATE {self.sql} SET {first} = {first} WHERE {each}" for each in whose),
            "DELETE": tuple(f"DELETE FROM {self.sql} WHERE {each}" for each in whose),
            "SELECT FOR UPDATE": tuple(f"SELECT FROM {self.sql} WHERE {each} FOR UPDATE" for each in whose),
            "SELECT FOR KEY SHARE": tuple(f"SELECT FROM {self.sql} WHERE {each} FOR KEY SHARE" for each in whose),
        }
        if self.relkind in ("r", "p"):
            found |= {
                "UPSERT, nothing": tuple(f"{each} ON CONFLICT DO NOTHING" for each in inserts),
                "MERGE": (
                    f"{merge} ON true WHEN MATCHED THEN DELETE",
                    f"{merge} ON false WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({defaults})",
                ),
                "TRUNCATE": (f"TRUNCATE {self.sql} CASCADE",),
                "COPY FROM": (f"COPY {self.sql} ({first}) FROM STDIN",),
                "LOCK": (f"LOCK {self.sql} IN SHARE MODE",),
                "CREATE TRIGGER": (f"CREATE TRIGGER x BEFORE INSERT ON {self.sql} FOR EACH ROW {trigger}",),
                "ALTER TABLE": (f"ALTER TABLE {self.sql} DISABLE ROW LEVEL SECURITY",),
                "CREATE POLICY": (f"CREATE POLICY mine ON {self.sql} USING (true)",),
            }
        return found

    def _whose(self) -> tuple[str, ...]:
        if self.kind.whose is None:
            return ("true", "false")
        column = ident(self.kind.whose)
        known = [literal(str(tenant)) for tenant in self.it.tenants.values() if tenant]
        return tuple(f"{column} = {each}::uuid" for each in (*known, literal(str(uuid4()))))


def _function(
    it: Isolated, schema: str, name: str, signature: list[tuple[str, str]], matrix: Matrix
) -> Iterator[tuple[str, str]]:
    _, answers, closed = matrix
    if schema in closed:
        return
    if name not in answers:
        yield "entry", "is missing. Write what it answers about another tenant into FUNCTIONS of test_rbac_isolation.py"
        return
    called = QualifiedName(schema, name).sql
    types = ", ".join(type_ for _, type_ in signature)
    may = it.rows("SELECT has_function_privilege(%s, %s, 'EXECUTE')", it.role, f"{called}({types})")[0][0]
    expected = answers[name]
    if expected == "trigger":
        return
    if expected == "refused":
        yield "EXECUTE", "is allowed, and must be refused" if may else ""
        return
    if not may:
        yield "EXECUTE", "is refused, and the application needs it"
        return
    for side in SIDES:
        for about in ("own", "other"):
            with it.within(side) as connection:
                given = [_argument(it, connection, argument, about) for argument, _ in signature]
                marks = ", ".join(f"%s::{type_}" for _, type_ in signature)
                seen = connection.execute(f"SELECT * FROM {called}({marks})", given).fetchall()
            what = f"about {about}, from {side}"
            if callable(expected):
                yield what, "" if expected(it, side, about, seen) else f"answers {seen}"
            elif side == about:
                yield what, "answers nothing, so that the other answers prove nothing" if seen == expected else ""
            else:
                yield what, "" if seen == expected else f"answers {seen}"


def _argument(it: Isolated, connection: Connection, name: str, about: str) -> Any:
    """A value for an argument, by its name."""
    known: Mapping[str, Any] = {
        "p_tenant": it.tenants[about],
        "p_tenants": [it.tenants[about]],
        "p_profile": it.profiles[about],
        "p_permission": "doc.read",
        "p_permissions": ["doc.read"],
        "p_role": it.rows("SELECT id FROM roles WHERE tenant_id = %s AND name = 'reader'", it.tenants[about])[0][0],
    }
    assert name in known, f"write what to give for the argument {name} into rbac_isolation.py"
    return known[name]
