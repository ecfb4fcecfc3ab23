"""What a person sees and may set under `alembic upgrade` itself, where no front end of ours is between."""

from __future__ import annotations

import subprocess
import sys

import pytest
from alembic.util import CommandError

from truing.errors import ConfigurationError, UnsupportedChangeError
from truing.online.operations.invoke import settings_of
from truing.online.settings import OnlineSettings, current_settings

REVISION = """
from alembic import op
revision, down_revision = "one", None
def upgrade():
    op.convert_column_online("t", "a", "no_such_type", dirty="fail")
def downgrade():
    pass
"""


@pytest.fixture
def folder(tmp_path, database, sql, monkeypatch):
    """A project of Alembic's own template, and the working directory of this test."""
    sql("CREATE TABLE t (id int PRIMARY KEY, a text)")
    monkeypatch.chdir(tmp_path)
    run("init", "migrations")
    ini = tmp_path / "alembic.ini"
    ini.write_text(ini.read_text().replace("driver://user:pass@localhost/dbname", database.url))
    (tmp_path / "migrations" / "versions" / "one.py").write_text(REVISION)
    return tmp_path


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "alembic", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_a_refusal_is_a_sentence_and_no_traceback(folder):
    ended = run("upgrade", "head")
    assert ended.returncode != 0
    assert (
        "FAILED: there is no type 'no_such_type': type \"no_such_type\" does not exist" in ended.stdout + ended.stderr
    )
    assert "Traceback" not in ended.stderr


def test_an_error_is_alembics_and_still_ours(op, sql):
    sql("CREATE TABLE t (id int PRIMARY KEY, a text)")
    with pytest.raises(UnsupportedChangeError) as caught:
        op.convert_column_online("t", "a", "no_such_type", dirty="fail")
    assert isinstance(caught.value, CommandError)
    assert "no_such_type" in caught.value.message


def test_limits_come_from_env_py_then_the_front_end_then_the_file(tmp_path, monkeypatch):
    class Context:
        def __init__(self, **opts):
            self.opts = opts

    monkeypatch.chdir(tmp_path)
    assert settings_of(Context()) == OnlineSettings()
    file = tmp_path / "pyproject.toml"
    file.write_text("[tool.truing.online]\nlock-timeout-ms = 33\n")
    assert settings_of(Context()) == OnlineSettings(lock_timeout_ms=33)
    token = current_settings.set(OnlineSettings(lock_timeout_ms=44))
    try:
        assert settings_of(Context()).lock_timeout_ms == 44
        assert settings_of(Context(truing_settings=OnlineSettings(lock_timeout_ms=55))).lock_timeout_ms == 55
    finally:
        current_settings.reset(token)
    file.write_text("[tool.truing.online]\nlock-timeout = 33\n")
    with pytest.raises(ConfigurationError, match=r"unknown key online\.lock-timeout"):
        settings_of(Context())
