"""What does a database of Supabase need beside the program? Its roles, less of what they may, profiles for its users.

``anon`` may nothing; ``authenticated`` is the application; ``service_role`` administers, past row security. Supabase
gives all three every privilege on whatever is made in ``public``, so what is not wanted is taken away by name. Profiles
follow ``auth.users`` by a trigger whose function belongs to a role that may do just that. In: the names of the schemas.
Out: statements, which may be run again and again.
"""

from __future__ import annotations

from typing import Final

from truing.names import QualifiedName, block, ident, literal
from truing.rbac.program.binding import Claim
from truing.rbac.program.privileges import ON, WHOM, held, words

ANON: Final = "anon"
AUTHENTICATED: Final = "authenticated"
SERVICE: Final = "service_role"
SIGNUP: Final = "rbac_signup"
"""Owns the trigger function of ``auth.users``; nobody logs in as it."""

USERS: Final = "auth.users"
FOLLOW: Final = "follow_auth_user"
"""The function of its triggers."""

ATTRIBUTES: Final = {
    ANON: "NOLOGIN NOINHERIT",
    AUTHENTICATED: "NOLOGIN NOINHERIT",
    SERVICE: "NOLOGIN NOINHERIT BYPASSRLS",
    SIGNUP: "NOLOGIN",
}
"""As Supabase makes them."""

_RIGHTS: Final = {
    "tenants": ("SELECT (id)",),
    "profiles": ("SELECT (id, tenant_id, active)", "INSERT (id, tenant_id, email)", "DELETE",
                 "UPDATE (tenant_id, email, role, active)"),
    "user_roles": ("SELECT (user_id)", "DELETE"),
}  # fmt: skip
_COMMANDS: Final = {"tenants": "SELECT", "profiles": "ALL", "user_roles": "ALL"}
_POLICY: Final = "rbac_signup"


def make_roles(names: tuple[str, ...] = tuple(ATTRIBUTES)) -> tuple[str, ...]:
    """Write the statements that make the roles, or take those that are there and that row security holds for."""
    held = ", ".join(map(literal, (ANON, AUTHENTICATED, SIGNUP)))
    refuse = block(f"""
        DECLARE above text; BEGIN
          SELECT string_agg(rolname, ', ') INTO above FROM pg_catalog.pg_roles
          WHERE rolname IN ({held}) AND (rolsuper OR rolbypassrls);
          IF above IS NOT NULL THEN
            RAISE EXCEPTION 'row security would not hold for %', above
              USING HINT = 'Have an administrator run ALTER ROLE ... NOSUPERUSER NOBYPASSRLS.';
          END IF;
        END
    """)
    return (*(make_role(name, ATTRIBUTES[name]) for name in names), refuse)


def make_role(name: str, attributes: str) -> str:
    """Write the statement that makes a role, or takes the one that is there.

    Roles belong to the whole cluster: another database may be making it at this moment.
    """
    role = literal(name)
    command = f"format('CREATE ROLE %I {attributes}', {role})"
    return block(f"""
        BEGIN
          IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {role}) THEN
            BEGIN
              EXECUTE {command};
            EXCEPTION
              WHEN duplicate_object OR unique_violation THEN
                NULL;
              WHEN insufficient_privilege THEN
                RAISE EXCEPTION 'there is no role %, and % may not make one', {role}, current_user
                  USING HINT = format('Have an administrator run: %s;', {command});
            END;
          END IF;
        END
    """)


def follow_users(schema: str, program: str) -> tuple[str, ...]:
    """Write the statements that let profiles follow ``auth.users``: rights of the function's owner, and triggers."""
    role, where = ident(SIGNUP), ident(program)
    function = f"{where}.{FOLLOW}()"
    rights = [
        f"GRANT {right} ON {QualifiedName(schema, table).sql} TO {role}"
        for table, each in _RIGHTS.items()
        for right in each
    ]
    return (
        f"GRANT USAGE ON SCHEMA {ident(schema)}, {where} TO {role}",
        *rights,
        *(_policy(schema, table, command) for table, command in _COMMANDS.items()),
        # Whoever is no superuser has to be a member of the role that a function is given to, and it needs CREATE there.
        block(f"""
        BEGIN
          IF NOT pg_catalog.pg_has_role(current_user, {literal(SIGNUP)}, 'USAGE') THEN
            EXECUTE pg_catalog.format('GRANT {role} TO %I', current_user);
          END IF;
        END
        """),
        f"GRANT CREATE ON SCHEMA {where} TO {role}",
        f"ALTER FUNCTION {function} OWNER TO {role}",
        f"REVOKE CREATE ON SCHEMA {where} FROM {role}",
        f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC",
        _triggers(program),
    )


def _policy(schema: str, table: str, command: str) -> str:
    name = QualifiedName(schema, table).sql
    check = "" if command == "SELECT" else " WITH CHECK (true)"
    # Only where it is not there: making it keeps readers out for a moment.
    return block(f"""
        BEGIN
          IF NOT EXISTS (SELECT FROM pg_catalog.pg_policy WHERE polrelid = {literal(name)}::regclass
                         AND polname = {literal(_POLICY)}) THEN
            CREATE POLICY {_POLICY} ON {name} FOR {command} TO {ident(SIGNUP)} USING (true){check};
          END IF;
        END
    """)


def trigger_names(program: str) -> dict[str, str]:
    """Name the triggers of ``auth.users``: event -> name, another one for each program."""
    # In bytes, for a name that is too long would be cut at its end.
    mine = program.encode()[:50].decode(errors="ignore")
    return {event: f"{mine}_follow_{event[0].lower()}" for event in ("INSERT", "UPDATE", "DELETE")}


def declared(program: str) -> tuple[tuple[str, str], ...]:
    """Name the triggers of ``auth.users`` as a person does, each with how its definition ends."""
    call = f" EXECUTE FUNCTION {ident(program)}.{FOLLOW}()"
    return tuple((f"{USERS}.{ident(name)}", call) for name in trigger_names(program).values())


def _triggers(program: str) -> str:
    function = f"{ident(program)}.{FOLLOW}()"
    events = {
        "INSERT": "AFTER INSERT",
        "UPDATE": "AFTER UPDATE",
        "DELETE": "AFTER DELETE",
    }
    # Users are updated at each sign-in.
    when = {
        "UPDATE": " WHEN (OLD.raw_app_meta_data IS DISTINCT FROM NEW.raw_app_meta_data"
        " OR OLD.email IS DISTINCT FROM NEW.email)"
    }
    made = "\n".join(
        f"CREATE OR REPLACE TRIGGER {ident(name)} {events[event]} ON {USERS} FOR EACH ROW{when.get(event, '')}"
        f" EXECUTE FUNCTION {function};"
        for event, name in trigger_names(program).items()
    )
    return block(f"""
        BEGIN
          IF pg_catalog.to_regclass({literal(USERS)}) IS NULL THEN
            RAISE NOTICE 'there is no table {USERS}, so no profile follows it; install again when there is one';
            RETURN;
          END IF;
          {made}
        END
    """)


def unfollow_users(schema: str, program: str) -> tuple[str, ...]:
    """Write the way back of :func:`follow_users`; the role stays, for other databases may use it."""
    tables = [QualifiedName(schema, table).sql for table in _RIGHTS]
    # Only where it is there: even looking for it would lock the table.
    gone = "\n".join(
        "IF EXISTS (SELECT FROM pg_catalog.pg_policy"
        f" WHERE polrelid = pg_catalog.to_regclass({literal(table)}) AND polname = {literal(_POLICY)}) THEN"
        f" DROP POLICY {_POLICY} ON {table}; REVOKE ALL ON {table} FROM {ident(SIGNUP)}; END IF;"
        for table in tables
    )
    schemas = "\n".join(
        f"IF pg_catalog.to_regnamespace({literal(ident(each))}) IS NOT NULL THEN"
        f" REVOKE ALL ON SCHEMA {ident(each)} FROM {ident(SIGNUP)}; END IF;"
        for each in (schema, program)
    )
    return (
        # With its triggers, which the owner of auth.users alone could drop otherwise.
        f"DROP FUNCTION IF EXISTS {ident(program)}.{FOLLOW}() CASCADE",
        block(f"""
        BEGIN
          IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {literal(SIGNUP)}) THEN
            {gone}
            {schemas}
          END IF;
        END
        """),
    )


def tighten(schema: str, program: str, application: str, administrator: str) -> tuple[str, ...]:
    """Write the statements that leave each role no more than it needs, where the application would see its tenant."""
    return refuse_unseen(schema, application), take_privileges(schema, program, application, administrator)


def refuse_unseen(schema: str, application: str) -> str:
    """Write the statement that fails where no policy shows the application its tenant: it would see nothing."""
    profiles = literal(QualifiedName(schema, "profiles").sql)
    return block(f"""
        BEGIN
          IF NOT EXISTS (SELECT FROM pg_catalog.pg_policy p, pg_catalog.unnest(p.polroles) r
                         WHERE p.polrelid = {profiles}::regclass AND p.polname = 'tenant_isolation'
                           AND (r = 0 OR pg_catalog.pg_has_role({literal(application)}, r, 'USAGE'))) THEN
            RAISE EXCEPTION 'no policy shows the role % the rows of its tenant', {literal(application)}
              USING HINT = 'Bring the tables to head with binding = "supabase" in [tool.truing.rbac],'
                ' or name the role that the policies are for with --application.';
          END IF;
        END
    """)


def unwanted(schema: str, program: str, application: str = AUTHENTICATED, administrator: str = SERVICE) -> str:
    """Write the query of what the three roles, and everybody, have and are not to have.

    It is what Supabase gives to whatever is made: every privilege.
    """
    shut = tuple(dict.fromkeys((ANON, AUTHENTICATED, application, administrator)))
    wanted = [(application, kind, "SELECT") for kind in "wr"] + [(application, "q", "EXECUTE")]
    wanted += [(administrator, "w", each) for each in ("SELECT", "INSERT", "UPDATE", "DELETE")]
    wanted += [(administrator, kind, "SELECT") for kind in "rc"]
    wanted += [(administrator, "s", "USAGE"), (administrator, "q", "EXECUTE"), (administrator, "f", "EXECUTE")]
    rows = ", ".join(f"({literal(role)}, {literal(kind)}, {literal(privilege)})" for role, kind, privilege in wanted)
    return f"""
        SELECT h.* FROM ({held(schema, program)}) h
        WHERE h.kind <> 'n' AND (h.grantee IS NULL OR h.grantee IN ({words(shut)}))
          AND NOT EXISTS (SELECT FROM (VALUES {rows}) w(grantee, kind, privilege)
                          WHERE (w.grantee, w.kind, w.privilege) = (h.grantee, h.kind, h.privilege))
    """


def take_privileges(schema: str, program: str, application: str, administrator: str) -> str:
    """Write the statement that takes away what :func:`unwanted` finds."""
    return block(f"""
        DECLARE it record; BEGIN
          FOR it IN {unwanted(schema, program, application, administrator)} LOOP
            EXECUTE pg_catalog.format('REVOKE %s ON %s %s FROM %s', it.privilege, {ON}, it.name, {WHOM});
          END LOOP;
        END
    """)


def above(roles: tuple[str, ...] = (ANON, AUTHENTICATED, SIGNUP)) -> str:
    """Write the query of the roles that could become one that row security does not hold for."""
    return f"""
        SELECT NULL::text AS tenant, r.rolname || ': ' || x.rolname AS subject
        FROM pg_catalog.pg_roles r JOIN pg_catalog.pg_roles x ON (x.rolsuper OR x.rolbypassrls)
          AND (x.oid = r.oid OR NOT r.rolsuper AND pg_catalog.pg_has_role(r.oid, x.oid, 'MEMBER'))
        WHERE r.rolname IN ({words(roles)})
    """


def not_followed(program: str) -> str:
    """Write the query of the triggers that ``auth.users`` lacks."""
    rows = ", ".join(f"({literal(name)})" for name in trigger_names(program).values())
    return f"""
        SELECT NULL::text AS tenant, {literal(USERS + ".")} || w.name AS subject FROM (VALUES {rows}) w(name)
        WHERE pg_catalog.to_regclass({literal(USERS)}) IS NOT NULL AND NOT EXISTS (
          SELECT FROM pg_catalog.pg_trigger g
          WHERE g.tgrelid = pg_catalog.to_regclass({literal(USERS)}) AND g.tgname = w.name
            AND g.tgenabled IN ('O', 'A'))
    """


def without_profile(schema: str, claim: Claim) -> str:
    """Write the query of the users who have no profile in the tenant that they were given."""
    return f"""
        SELECT u.said AS tenant, u.id::text AS subject
        FROM (SELECT id, NULLIF(raw_app_meta_data #>> {literal(claim.in_metadata)}::text[], '') AS said
              FROM {USERS}) u
        WHERE u.said IS NOT NULL AND NOT EXISTS (
          SELECT FROM {QualifiedName(schema, "profiles").sql} p WHERE p.id = u.id AND p.tenant_id::text = lower(u.said))
    """
