"""Backups although row security is forced: who gets all of it, who is refused, who would get a part without a word."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from uuid import UUID

import pytest
from sqlalchemy import create_engine

from tests.fix_server import Database
from truing.rbac.invariants import verify
from truing.rbac.roles import Roles
from truing.server import available

ROWS = "SELECT md5(string_agg({table}::text, '|' ORDER BY {table}::text)) FROM {table}"
QUESTION = "SELECT rbac.can(%s, %s, 'write')"


def run(database, program, *options, user="postgres"):
    (binaries,) = [each for each in available() if each.version == database.version][:1]
    command = [binaries.program(program), *options, "-d", database.cluster.dsn(database.name, user)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@dataclass
class Filled:
    """A database with two tenants, and what can be asked of it."""

    database: Database
    tenant: UUID
    person: UUID
    tables: tuple[str, ...]

    def hashes(self, database=None):
        return {
            table: (database or self.database).execute(ROWS.format(table=table))[0][0]
            for table in self.tables
            if table != "alembic_version"
        }

    def can(self, database):
        return database.execute(QUESTION, [self.tenant, self.person])[0][0]


@pytest.fixture
def filled(world, rbac_database):
    world.permission("write", "read")
    for slug in ("acme", "umbrella"):
        tenant = world.tenant(slug)
        role = world.role(tenant, "editor", "write")
        person = world.profile(tenant, role)
    found = rbac_database.execute("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    return Filled(rbac_database, tenant, person, tuple(name for (name,) in found))


def restored(filled, make_database, dump, tmp_path):
    file = tmp_path / "dump.sql"
    file.write_text(dump)
    database = make_database()
    done = run(database, "psql", "-q", "-X", "-v", "ON_ERROR_STOP=1", "-f", str(file))
    assert (done.returncode, done.stderr) == (0, "")
    return database


def test_a_superusers_dump_is_everything_and_restores_to_what_it_was(filled, make_database, tmp_path):
    done = run(filled.database, "pg_dump")
    assert (done.returncode, done.stderr) == (0, "")
    copy = restored(filled, make_database, done.stdout, tmp_path)
    assert filled.hashes(copy) == filled.hashes()
    assert filled.can(copy) is True
    # It is guarded like the original: no tenant, no rows; and the invariants hold.
    forced = "SELECT relname::text FROM pg_class WHERE relforcerowsecurity ORDER BY 1"
    assert copy.execute(forced) == filled.database.execute(forced) != []
    engine = create_engine(copy.url)
    with engine.connect() as connection:
        assert [each for each in verify(connection) if each.broken] == []
    engine.dispose()


def test_a_member_of_the_migration_role_gets_everything_where_it_says_so(filled, make_database, tmp_path):
    user = filled.database.role("LOGIN")
    filled.database.execute(f"GRANT pg_read_all_data, {Roles().migration} TO {user}")
    refused = run(filled.database, "pg_dump", user=user)
    assert refused.returncode == 1
    assert "row-level security" in refused.stderr
    done = run(filled.database, "pg_dump", "--enable-row-security", user=user)
    assert (done.returncode, done.stderr) == (0, "")
    copy = restored(filled, make_database, done.stdout, tmp_path)
    assert filled.hashes(copy) == filled.hashes()


def test_whoever_sees_no_row_is_refused_unless_it_asks_for_a_part(filled):
    user = filled.database.role("LOGIN")
    filled.database.execute(f"GRANT pg_read_all_data, {Roles().application} TO {user}")
    refused = run(filled.database, "pg_dump", user=user)
    assert refused.returncode == 1
    assert "row-level security" in refused.stderr
    # The page warns of this: with the option and without the role, it is a backup of nobody, and no error.
    done = run(filled.database, "pg_dump", "--enable-row-security", "--data-only", "--table=profiles", user=user)
    assert done.returncode == 0
    assert str(filled.person) not in done.stdout
