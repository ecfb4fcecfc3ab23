"""Where it cannot be told who changed a privilege, nobody is accused, and it is named."""

from __future__ import annotations

import msgspec
import pytest

from truing.catalog.diff import compare
from truing.catalog.model import PUBLIC, Brought, DatabaseObject, Extension, Grant, Snapshot
from truing.catalog.objects import UNSEEN
from truing.drift.comparing.brought import left_out, untold, without
from truing.drift.comparing.scope import aside, managed
from truing.drift.fixing.granting import granted
from truing.patterns import table_patterns
from truing.versions import PostgresVersion

OLD, NEW = PostgresVersion(150018), PostgresVersion(180006)
READ = "function pg_catalog.pg_read_file(text)"


def database(*brought: Brought, version: PostgresVersion = NEW, **extensions: str) -> Snapshot:
    found = tuple(Extension(name=name, schema="public", version=each) for name, each in extensions.items())
    return Snapshot(version=version, database="d", brought=brought, extensions=found)


def given(
    *roles: str, owner: str = "postgres", by: str = "", extension: str = "", name: str = "pg_catalog.pg_read_file(text)"
) -> Brought:
    grants = tuple(Grant(grantee=role, privilege="EXECUTE", grantor=by or owner) for role in roles)
    return Brought(kind="function", name=name, extension=extension, owner=owner, grants=grants)


def taken(owner: str = "postgres", extension: str = "") -> Brought:
    public = Grant(grantee=PUBLIC, privilege="EXECUTE")
    return msgspec.structs.replace(given(owner=owner, extension=extension), initial=(public,))


def came_nothing(_: object) -> tuple[Brought, ...]:
    return ()


def reasons(live: Snapshot, *built: Snapshot, lacking: tuple[str, ...] = ()) -> dict[str, str]:
    found = untold(live, built, lacking, came_nothing)
    return {f"{name} {role}".strip(): reason for (_, name, role), reason in found.items()}


def test_what_is_compared_is_compared() -> None:
    live, head = database(given("app")), database()
    assert reasons(live, head) == {}
    assert without(live, {}) is live


@pytest.mark.parametrize(
    ("brought", "reason"),
    [
        (given("app", owner="rdsadmin"), "changed by Amazon RDS"),
        (taken(owner="cloudsqladmin"), "changed by Cloud SQL"),
        (given("azure_pg_admin", owner="azuresu", by="someone"), "given to a role of Azure"),
        (given("doadmin"), "given to a role of DigitalOcean"),
        # A customer has passed on what the provider let it pass on.
        (given("app", owner="rdsadmin", by="rds_superuser"), None),
        (given("app"), None),
        (taken(), None),
        # A customer's own role, whatever it is called.
        (given("rds_reader"), None),
    ],
)
def test_what_a_provider_changes_is_not_a_persons_edit(brought: Brought, reason: str | None) -> None:
    assert list(reasons(database(brought), database()).values()) == ([reason] if reason else [])


def test_what_a_provider_changed_is_left_out_of_the_other_sides_as_well() -> None:
    live, head = database(given("app", "mine", owner="rdsadmin")), database(given("app"))
    live = msgspec.structs.replace(live, brought=(_by(live.brought[0], "mine", "rds_superuser"),))
    places = untold(live, (head,), (), came_nothing)
    assert [(each.reason, each.name) for each in left_out(places)] == [
        ("privileges: changed by Amazon RDS", f"{READ}, of app")
    ]
    assert without(head, places).brought == ()
    assert [each.grantee for each in without(live, places).brought[0].grants] == ["mine"]


def _by(value: Brought, role: str, grantor: str) -> Brought:
    grants = (msgspec.structs.replace(each, grantor=grantor) if each.grantee == role else each for each in value.grants)
    return msgspec.structs.replace(value, grants=tuple(grants))


def test_members_of_an_extension_that_is_not_the_same_are_left_out() -> None:
    member = given("app", extension="citext")
    here, other = database(member, citext="1.6"), database(citext="1.8")
    assert reasons(here, database(citext="1.6")) == {}
    assert list(reasons(here, other).values()) == ["the extension citext is not the same everywhere"]
    assert list(reasons(other, here).values()) == ["the extension citext is not the same everywhere"]
    assert list(reasons(here, database()).values()) == ["the extension citext is not the same everywhere"]
    same = database(citext="1.6")
    assert list(reasons(here, same, lacking=("citext",)).values()) == [
        "a stand-in was made for the extension citext"
    ]  # fmt: skip


def test_another_major_is_asked_what_it_came_with() -> None:
    live, head = database(given("app"), version=OLD), database()
    assert untold(live, (head,), (), lambda _: (given(),)) == {}
    # It has no such function, or app could do it to begin with.
    for came in ((), (msgspec.structs.replace(given(), initial=given("app").grants),)):
        assert list(untold(live, (head,), (), lambda _, came=came: came).values()) == [
            "PostgreSQL 15 and 18 may not have come with the same"
        ]


def test_what_only_migrations_on_another_major_change_cannot_be_told() -> None:
    """Perhaps the live database came with it."""
    live, head = database(version=OLD), database(given("app"))
    assert len(untold(live, (head,), (), came_nothing)) == 1
    assert untold(msgspec.structs.replace(live, version=NEW), (head,), (), came_nothing) == {}
    both = database(given("app"), version=OLD)
    assert untold(both, (head,), (), came_nothing) == {}


def test_what_has_changed_is_compared_not_what_came_of_it() -> None:
    """Two majors came with something else, and the same has been added."""
    select = Grant(grantee="app", privilege="SELECT")
    one = Brought(kind="view", name="pg_catalog.v", owner="postgres", grants=(select,))
    insert = msgspec.structs.replace(select, privilege="INSERT")
    other = msgspec.structs.replace(one, grants=(select, insert), initial=(insert,))
    assert compare(database(one), database(other)) == ()
    # Without the grant it is as it came there: app may insert.
    (difference,) = compare(database(other), database())
    assert (difference.attribute, difference.before, difference.after) == (
        "privileges of app",
        "INSERT, SELECT",
        "INSERT",
    )


@pytest.mark.parametrize(
    ("have", "want", "lines"),
    [
        (None, given("a b"), [f'GRANT EXECUTE ON {READ.replace("function", "FUNCTION")} TO "a b"']),
        (given("app"), None, [f"REVOKE EXECUTE ON {READ.replace('function', 'FUNCTION')} FROM app"]),
        (None, taken(), [f"REVOKE EXECUTE ON {READ.replace('function', 'FUNCTION')} FROM PUBLIC"]),
        (taken(), None, [f"GRANT EXECUTE ON {READ.replace('function', 'FUNCTION')} TO PUBLIC"]),
    ],
)
def test_fixes(have: Brought | None, want: Brought | None, lines: list[str]) -> None:
    assert granted(have, want) == tuple(f"op.execute({line!r})" for line in lines)


def test_fixes_of_columns_and_of_grant_options() -> None:
    grant = Grant(grantee="app", privilege="SELECT", grantable=True)
    column = Brought(
        kind="column", name='pg_catalog.v."a b"', relation="pg_catalog.v", owner="postgres", grants=(grant,)
    )
    plain = msgspec.structs.replace(column, grants=(msgspec.structs.replace(grant, grantable=False),))
    what = 'SELECT ("a b") ON TABLE pg_catalog.v'
    for have, want, line in (
        (None, column, f"GRANT {what} TO app WITH GRANT OPTION"),
        (plain, column, f"GRANT {what} TO app WITH GRANT OPTION"),
        (column, plain, f"REVOKE GRANT OPTION FOR {what} FROM app"),
        (column, None, f"REVOKE {what} FROM app"),
    ):
        assert granted(have, want) == (f"op.execute({line!r})",)


def test_another_owner_of_what_initdb_made_is_said_unless_a_provider_gave_it_one() -> None:
    live = database(msgspec.structs.replace(given(), owner="app", moved=True))
    (difference,) = compare(database(), live)
    assert (difference.attribute, difference.before, difference.after) == ("owner", None, "app")
    assert compare(database(), live, ignore={"owner"}) == ()
    assert reasons(live, database()) == {}
    theirs = database(msgspec.structs.replace(given(), owner="supabase_storage_admin", moved=True))
    places = untold(theirs, (database(),), (), came_nothing)
    assert list(places.values()) == ["given to a role of Supabase"]
    assert without(theirs, places).brought == ()


def test_what_whoever_runs_the_server_says_is_named_where_it_is_unusual() -> None:
    def live(*grants: Grant, comment: str = "x", version: str = "1") -> Snapshot:
        one = DatabaseObject(kind="database", name="this database", owner="me", grants=grants)
        extension = Extension(name="citext", schema="public", version=version, comment=comment)
        return Snapshot(version=NEW, database="d", others=(one,), extensions=(extension,))

    usual = tuple(Grant(grantee=PUBLIC, privilege=each) for each in ("CONNECT", "TEMPORARY"))
    mine = Grant(grantee="me", privilege="CREATE")
    built = live(*usual)
    assert list(aside(live(*usual, mine), (built,))) == []
    changed = live(mine, usual[1], Grant(grantee="a b", privilege="CONNECT"), comment="y")
    assert [each.name for each in aside(changed, (built, built))] == [
        'CONNECT to "a b"',
        "no CONNECT to public",
        "citext",
        "citext",
    ]
    assert list(aside(live(*usual, comment="y", version="2"), (built,))) == []
    kept, _ = managed(changed, table_patterns((), ("public",), source="unmanaged"), ())
    assert (kept.others[0].owner, kept.others[0].grants) == ("", ())


def test_options_that_cannot_be_seen_are_named() -> None:
    mapping = DatabaseObject(kind="user mapping", name="PUBLIC on s", definition=UNSEEN)
    snapshot = Snapshot(version=NEW, database="d", others=(mapping,))
    _, out = managed(snapshot, table_patterns((), ("public",), source="unmanaged"), ())
    assert [(each.reason, each.name) for each in out] == [
        ("options of user mappings, which this role may not see", "PUBLIC on s")
    ]  # fmt: skip
