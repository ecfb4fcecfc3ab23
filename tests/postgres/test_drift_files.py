"""Files that are no whole snapshot: one clear error each, wherever they were cut."""

from __future__ import annotations

import pytest

from tests.project import make_project
from truing.cli.app import run


@pytest.fixture
def project(tmp_path, database, monkeypatch):
    """A project whose migrations know nothing of what is in the live database."""
    for variable in ("TRUING_DATABASE_URL", "DATABASE_URL", "ALEMBIC_CONFIG"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    url = database.url.replace("postgresql://", "postgresql+psycopg://", 1)

    def write(text=""):
        make_project(tmp_path, {"one": "pass"}, url=url, models=text, metadata="Base.metadata" if text else "None")
        return tmp_path

    return write


def test_a_file_that_is_no_whole_snapshot_is_refused(project, database, capfd, tmp_path):
    database.execute("CREATE TABLE t (id integer PRIMARY KEY, note text)")
    project()
    assert run(["snapshot", "-o", "whole.json"]) == 0
    whole = (tmp_path / "whole.json").read_bytes()
    assert run(["snapshot", "--from", "whole.json"]) == 0
    newer = whole.replace(b'"version": 1,', b'"version": 2,', 1)
    assert newer != whole
    contents = {f"cut{tenth}.json": whole[: len(whole) * tenth // 10] for tenth in range(10)}
    contents |= {
        "newer.json": newer,
        "text.json": b"CREATE TABLE t ();",
        "other.json": b'{"name": "app", "version": "1.0", "format": 3}',
        "list.json": b"[" * 200_000,
        "binary.json": bytes(range(256)),
        "nul.json": whole.replace(b'"note"', b'"no\\u0000te"'),
        "swapped.json": whole.replace(b'"tables": [', b'"views": [', 1).replace(b'"views": []', b'"tables": []', 1),
    }
    for file, content in contents.items():
        (tmp_path / file).write_bytes(content)
    (tmp_path / "folder.json").mkdir()
    capfd.readouterr()
    for file in (*contents, "folder.json", "missing.json", "whole.json/x.json", "/proc/self/mem"):
        for command in (["drift", "--migrations", "--snapshot", file], ["snapshot", "--from", file]):
            code = run(command)
            out, error = capfd.readouterr()
            assert (code, out) == (2, ""), (file, error)
            assert file in error, (file, error)
            assert "Traceback" not in error
            assert sum(line.startswith(("Error", "error")) for line in error.splitlines()) == 1, error
