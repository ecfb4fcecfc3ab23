"""[tool.truing] becomes a Config; what is misspelt is refused with the file, the key and the nearest key."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from truing.config import Config, database_url, load_config, parse_config
from truing.errors import ConfigurationError
from truing.online.settings import OnlineSettings


def write(folder: Path, text: str) -> Path:
    file = folder / "pyproject.toml"
    file.write_text(text)
    return file


def test_defaults_without_any_file(tmp_path):
    assert load_config(start=tmp_path) == Config()
    assert Config().forbidden_tables == ("users", "auth.users")


def test_the_nearest_file_with_our_table_is_read(tmp_path):
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    write(tmp_path, "[tool.truing]\nforbidden-tables = ['people']\nfail-on = 'warning'\n")
    write(inner.parent, "[tool.other]\nx = 1\n")
    config = load_config(start=inner)
    assert config.forbidden_tables == ("people",)
    assert config.fail_on == "warning"
    assert config.folder == tmp_path.resolve()


def test_an_empty_table_ends_the_search(tmp_path):
    inner = tmp_path / "a"
    inner.mkdir()
    write(tmp_path, "[tool.truing]\nforbidden-tables = ['people']\n")
    write(inner, "[tool.truing]\n")
    assert load_config(start=inner).forbidden_tables == Config().forbidden_tables


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("[tool.truing]\nforbiden-tables = []\n", "unknown key forbiden-tables", "Did you mean forbidden-tables?"),
        ("[tool.truing]\nforbidden_tables = []\n", "unknown key forbidden_tables", "Did you mean forbidden-tables?"),
        ("[tool.truing]\nfile = 'x'\n", "unknown key file", ""),
        ("[[tool.truing.allow]]\nrul = 'x'\n", "unknown key allow[0].rul", "Did you mean rule?"),
        ("[tool.truing]\nforbidden-tables = 'users'\n", "forbidden-tables: Expected `array`", ""),
        ("[tool.truing]\nforbidden-tables = [1]\n", "forbidden-tables[0]", ""),
        ("[tool.truing]\nfail-on = 'often'\n", "fail-on: Invalid enum value", ""),
        ("[[tool.truing.allow]]\nrule='x'\nsubject='y'\nreason=' '\n", "reason must say why", ""),
        ("[tool.truing]\nallow = 3\n", "allow: Expected `array`", ""),
        ("[tool.truing\n", "not valid TOML", ""),
        ("[tool]\ntruing = 3\n", "must be a table", ""),
    ],
)
def test_what_cannot_be_used_is_refused_with_file_and_key(tmp_path, text, said, hint):
    file = write(tmp_path, text)
    with pytest.raises(ConfigurationError) as refused:
        load_config(file)
    assert str(file) in refused.value.message
    assert said in refused.value.message
    assert hint in refused.value.advice


def test_a_named_file_must_have_our_table(tmp_path):
    with pytest.raises(ConfigurationError, match=r"has no \[tool.truing\]"):
        load_config(write(tmp_path, ""))
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        load_config(tmp_path / "none.toml")


def test_a_file_that_is_not_utf8_is_refused(tmp_path):
    file = tmp_path / "pyproject.toml"
    file.write_bytes(b"[tool.truing]\n# \xff\n")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        load_config(file)


def test_the_online_section_is_read_by_its_owner():
    config = parse_config({"online": {"lock-timeout-ms": 50}}, "p.toml")
    assert config.section("online", OnlineSettings) == msgspec.structs.replace(OnlineSettings(), lock_timeout_ms=50)


@pytest.mark.parametrize(
    ("table", "said"),
    [({"lock-timeout": 50}, "unknown key online.lock-timeout"), ({"lock-timeout-ms": "x"}, "online.lock-timeout-ms")],
)
def test_the_online_section_is_checked_too(table, said):
    with pytest.raises(ConfigurationError, match=said):
        parse_config({"online": table}, "p.toml").section("online", OnlineSettings)


def test_the_order_of_database_addresses():
    config = Config(database_url="postgresql://config/d")
    environment = {"TRUING_DATABASE_URL": "postgresql://ours/d", "DATABASE_URL": "postgresql://common/d"}
    assert database_url("postgresql://option/d", config, environment) == "postgresql://option/d"
    assert database_url(None, config, environment) == "postgresql://ours/d"
    assert database_url(None, config, {"DATABASE_URL": "postgresql://common/d"}) == "postgresql://common/d"
    assert database_url(None, config, {"TRUING_DATABASE_URL": ""}) == "postgresql://config/d"
    assert database_url(None, Config(), {}) is None
