"""`[tool.truing.rbac]`, attributes and `-x`: which one counts, and what is refused."""

from __future__ import annotations

from argparse import Namespace

import pytest
from alembic.config import Config

from truing.config import parse_config
from truing.errors import ConfigurationError, UsageError
from truing.rbac import place
from truing.rbac.models import Base
from truing.rbac.models.bound import tables_of
from truing.rbac.program.binding import BINDINGS, TABLES, Claim
from truing.rbac.roles import roles_of
from truing.rbac.settings import settings_of


def told(tmp_path, monkeypatch, written="", x=(), **attributes):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text(f"[tool.truing.rbac]\n{written}")
    config = Config(cmd_opts=Namespace(x=list(x)))
    config.attributes.update(attributes)
    return place.told(config)


def test_the_file_counts_least_and_x_most(tmp_path, monkeypatch):
    written = 'binding = "role"\nprogram = "one"\napplication = "app"\nsetting = "a.b"\n'
    found = told(tmp_path, monkeypatch, written, ["program=three", "flag"], program="two", setting="", schema="s")
    assert found == {"binding": "role", "program": "three", "app_role": "app", "setting": "a.b", "schema": "s"}
    assert roles_of(found, "role").application == "app"
    assert roles_of({}, "supabase").known == ("authenticated", "service_role", "rbac_migration", "rbac_signup")


def test_a_binding_is_named_or_follows_from_the_profile():
    assert place.wanted({}) is None
    assert {bind: place.wanted({"binding": bind}).bind for bind in BINDINGS} == {bind: bind for bind in BINDINGS}
    found = place.wanted({"profile": "supabase", "claim": "org.tenant"})
    assert (found.bind, found.claim) == ("supabase", Claim(("org", "tenant")))


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"binding": "sgned"}, "no binding 'sgned'"),
        ({"profile": "heroku"}, "no profile 'heroku'"),
        ({"profile": "supabase", "binding": "role"}, "binding=role otherwise"),
        ({"binding": "supabase", "claim": "user_metadata.tenant"}, "written by the user"),
    ],
)
def test_what_cannot_be_is_refused(told, said):
    with pytest.raises(UsageError, match=said):
        place.wanted(told)


@pytest.mark.parametrize(("table", "said"), [({"bindng": "role"}, "rbac.bindng"), ({"binding": "rol"}, "rbac.binding")])
def test_the_table_is_checked(table, said):
    with pytest.raises(ConfigurationError, match=said):
        settings_of(parse_config({"rbac": table}, "p.toml"))


def test_a_binding_declares_the_table_that_it_reads():
    for bind in (*BINDINGS, None):
        wanted = {f"tenancy.{TABLES[bind]}"} if bind in TABLES else set()
        assert set(tables_of(bind, "tenancy").tables) == wanted
    assert not set(TABLES.values()) & set(Base.metadata.tables)
