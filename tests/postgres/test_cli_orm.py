"""`truing orm` on a project: the models of env.py or of the configuration, exit codes, clear errors, nothing written."""

from __future__ import annotations

import json
import re
import sys

import psycopg
import pytest

from tests.project import make_project
from truing.cli.app import run

MODELS = """
import uuid
from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

class Base(DeclarativeBase):
    pass

class Tenant(Base):
    __tablename__ = "tenants"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    profiles: Mapped[list["Profile"]] = relationship(back_populates="tenant"{options})

class Profile(Base):
    __tablename__ = "profiles"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), index=True)
    tenant: Mapped[Tenant] = relationship(back_populates="profiles")
"""
OWNED = ', cascade="all, delete-orphan", passive_deletes=True'
TABLES = """
CREATE TABLE tenants (id uuid PRIMARY KEY);
CREATE TABLE profiles (id uuid PRIMARY KEY, tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE);
CREATE INDEX ON profiles (tenant_id);
"""


@pytest.fixture
def project(tmp_path, database, monkeypatch):
    """Write a project whose env.py has these models."""
    for name in ("TRUING_DATABASE_URL", "DATABASE_URL", "ALEMBIC_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    database.execute(TABLES)
    url = database.url.replace("postgresql://", "postgresql+psycopg://", 1)

    def write(models, *, metadata="Base.metadata", env="from orm_project_models import Base"):
        tmp_path.joinpath("orm_project_models.py").write_text(models)
        make_project(tmp_path, url=url, models=env, metadata=metadata)
        return tmp_path

    yield write
    module = sys.modules.pop("orm_project_models", None)
    if module is not None and hasattr(module, "Base"):
        module.Base.registry.dispose()


def answer(capsys, *arguments):
    capsys.readouterr()
    code = run(["orm", *arguments, "--output-format", "json"])
    return code, json.loads(capsys.readouterr().out)


def test_findings_end_with_1(project, capsys):
    project(MODELS.format(options=""))
    code, said = answer(capsys)
    (finding,) = said["findings"]
    assert (code, finding["rule"], finding["subject"]) == (1, "nullified-database-cascade", "Tenant.profiles")
    assert finding["location"] == {"file": "orm_project_models.py", "line": 12}
    assert (said["facts"]["mapped classes"], said["facts"]["tables"]) == (2, 2)
    assert answer(capsys, "--ignore", "TR303")[0] == 0
    assert answer(capsys, "--select", "naive-timestamp")[0] == 0
    assert answer(capsys, "--exit-zero")[0] == 0


def test_in_true_ends_with_0(project, capsys):
    project(MODELS.format(options=OWNED))
    code, said = answer(capsys)
    assert (code, said["verdict"], said["findings"]) == (0, "true", [])


def test_the_configuration_names_models_tenants_and_the_role(project, database, capsys):
    role = database.role("NOLOGIN")
    folder = project(MODELS.format(options=OWNED), metadata="None", env="")
    settings = f'metadata = ["orm_project_models:Base"]\ntenant-column = "tenant_id"\napplication-role = "{role}"\n'
    folder.joinpath("pyproject.toml").write_text(f"[tool.truing]\n{settings}")
    code, said = answer(capsys)
    assert (code, {each["rule"] for each in said["findings"]}) == (1, {"missing-privilege"})
    folder.joinpath("pyproject.toml").write_text(f'[tool.truing]\n{settings}ignore = ["TR101", "missing-privilege"]\n')
    assert answer(capsys)[0] == 0


@pytest.mark.parametrize(
    ("models", "env", "metadata", "said"),
    [
        ("1 / 0", "import orm_project_models", "None", "division by zero"),
        ("", "import no_such_module", "None", "no_such_module"),
        ("", "", "None", "env.py has no target_metadata"),
        (
            MODELS.format(options="").replace('back_populates="profiles"', 'back_populates="nothing"'),
            "from orm_project_models import Base",
            "Base.metadata",
            "models cannot be configured",
        ),
    ],
    ids=["model raises", "no module", "no metadata", "not configurable"],
)
def test_what_cannot_be_loaded_is_one_clear_error(project, capsys, models, env, metadata, said):
    project(models, env=env, metadata=metadata)
    assert run(["orm"]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error


def test_a_misspelt_rule_is_a_clear_error(project, capsys):
    project(MODELS.format(options=OWNED))
    assert run(["orm", "--select", "nullified-databse-cascade"]) == 2
    assert "Did you mean nullified-database-cascade?" in capsys.readouterr().err


def test_lint_leaves_what_is_allowed_here_alone(project, capsys):
    text = MODELS.format(options="").replace(
        "    profiles:", "    # truing: allow nullified-database-cascade -- tried and meant\n    profiles:"
    )
    project(text)
    assert answer(capsys)[0] == 0
    capsys.readouterr()
    assert run(["lint", "--only", "models", "--output-format", "json", "--fail-on", "info"]) == 0
    assert json.loads(capsys.readouterr().out)["findings"] == []


def test_nothing_is_written(project, database, capsys, monkeypatch):
    project(MODELS.format(options=""))
    statements = []
    execute = psycopg.Cursor.execute

    def note(self, query, *arguments, **options):
        statements.append(query if isinstance(query, str) else bytes(query).decode())
        return execute(self, query, *arguments, **options)

    monkeypatch.setattr(psycopg.Cursor, "execute", note)
    answer(capsys)
    assert statements[0] == "SET default_transaction_read_only = on"
    words = {re.sub(r"^(--[^\n]*\n|\s)*", "", each).split()[0].upper() for each in statements}
    assert words <= {"SET", "SELECT", "WITH"}


def test_every_rule_has_a_page(capsys):
    assert run(["rule", "TR303"]) == 0
    assert "nullified-database-cascade" in capsys.readouterr().out
    assert run(["rule", "--output-format", "json"]) == 0
    codes = [each["code"] for each in json.loads(capsys.readouterr().out)["tables"][0]["rows"]]
    assert {"TR001", "TR101", "TR301", "TR359"} <= set(codes)
