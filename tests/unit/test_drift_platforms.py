"""What Supabase makes by itself is taken out; what somebody has done beside that stays."""

from __future__ import annotations

import pytest

from truing.catalog.model import Snapshot
from truing.catalog.objects import DatabaseObject, Extension, Publication, Schema
from truing.catalog.parts import Grant
from truing.drift.comparing.platforms import PLATFORMS, prepared, without
from truing.versions import PostgresVersion

SUPABASE = PLATFORMS["supabase"]
EVERY = ", ".join(
    f"{privilege} to {role}"
    for role in ("anon", "authenticated", "service_role")
    for privilege in ("DELETE", "INSERT", "REFERENCES", "SELECT", "TRIGGER", "TRUNCATE", "UPDATE")
)


def snapshot(*others, **parts):
    return Snapshot(version=PostgresVersion(180006), database="postgres", others=others, **parts)


def defaults(name, definition):
    return DatabaseObject(kind="default privileges", name=name, definition=definition)


THEIRS = {
    "of the runner to its roles": defaults("of postgres in public on tables", EVERY),
    "to the runner, too": defaults("of postgres in public on functions", "EXECUTE to anon, EXECUTE to postgres"),
    "of a role of its own": defaults("of supabase_admin in public on types", "USAGE to web"),
    "in a schema of its own": defaults("of postgres in storage on tables", "SELECT to web"),
    "an event trigger": DatabaseObject(
        kind="event trigger", name="x", definition="ON sql_drop EXECUTE FUNCTION extensions.pgrst_drop_watch()"
    ),
    "a setting": DatabaseObject(kind="database setting", name="app.settings.jwt_secret", definition="s"),
    "what its role owns": DatabaseObject(kind="collation", name="public.c", owner="supabase_admin"),
}
OURS = {
    "to somebody else": defaults("of postgres in public on tables", EVERY + ", SELECT to web"),
    "with the option to grant": defaults("of postgres in public on tables", "SELECT to anon with grant option"),
    "to everybody": defaults("of postgres in public on functions", "EXECUTE to PUBLIC"),
    "of somebody else": defaults("of web in public on tables", EVERY),
    "everywhere": defaults("of postgres on tables", EVERY),
    "in another schema": defaults("of postgres in api on tables", EVERY),
    "on types": defaults("of postgres in public on types", "USAGE to anon"),
    "a role of a name like its own": defaults("of postgres in public on tables", 'SELECT to "anon, SELECT to anon"'),
    "an event trigger": DatabaseObject(
        kind="event trigger", name="x", definition="ON sql_drop EXECUTE FUNCTION public.watch()", owner="postgres"
    ),
    "a setting": DatabaseObject(kind="database setting", name="app.settings", definition="s"),
}


@pytest.mark.parametrize("name", THEIRS)
def test_it_is_left_out_by_name(name):
    kept, out = without(snapshot(THEIRS[name]), SUPABASE, "postgres")
    assert (kept.others, [each.name for each in out]) == ((), [THEIRS[name].name])
    assert out[0].reason == f"of Supabase: {THEIRS[name].kind}"


@pytest.mark.parametrize("name", OURS)
def test_it_stays(name):
    before = snapshot(OURS[name])
    assert without(before, SUPABASE, "postgres") == (before, ())


def test_schemas_extensions_and_publications_are_left_out():
    before = snapshot(
        schemas=(Schema(name="auth"), Schema(name="public"), Schema(name="_realtime")),
        extensions=(
            Extension(name="pg_graphql", schema="graphql", version="1"),
            Extension(name="postgis", schema="public", version="1"),
        ),
        publications=(Publication(name="supabase_realtime"), Publication(name="supabase")),
    )
    kept, out = without(before, SUPABASE, "postgres")
    assert [each.name for each in (*kept.schemas, *kept.extensions, *kept.publications)] == [
        "public",
        "postgis",
        "supabase",
    ]
    assert len(out) == 4


def test_a_scratch_database_is_given_what_the_provider_still_gives_and_no_more():
    public = Schema(
        name="public",
        grants=(
            Grant(grantee="anon", privilege="USAGE"),
            Grant(grantee="anon", privilege="CREATE"),
            Grant(grantee="web", privilege="USAGE"),
        ),
    )
    live = snapshot(
        defaults("of postgres in public on tables", EVERY + ", MAINTAIN to anon, SELECT to web"),
        defaults("of postgres in public on functions", "EXECUTE to anon"),
        defaults("of web in public on sequences", "USAGE to anon"),
        schemas=(public,),
    )
    alter = "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT"
    assert prepared(live, SUPABASE, "postgres") == (
        (
            f"{alter} ALL ON TABLES TO anon",
            f"{alter} ALL ON TABLES TO authenticated",
            f"{alter} ALL ON TABLES TO service_role",
            f"{alter} EXECUTE ON FUNCTIONS TO anon",
            "GRANT USAGE ON SCHEMA public TO anon",
        ),
        SUPABASE.given,
    )
    assert prepared(snapshot(), SUPABASE, "postgres") == ((), ())
