"""A data directory that was packed: a server starts on it, and on what is none, initdb makes another."""

from __future__ import annotations

import gzip
from functools import cache

import msgspec
import psycopg
import pytest

from truing.errors import ServerError
from truing.server import Cluster, archive

MANY = 2**30


@pytest.fixture
def binaries(cluster):
    return cluster.binaries


@pytest.fixture(name="packed")
def _packed(binaries):
    """A packed data directory of that PostgreSQL, made once."""
    return made(binaries)


@cache
def made(binaries):
    with Cluster(binaries) as cluster:
        with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE d")
            connection.execute("CREATE ROLE somebody")
        with psycopg.connect(cluster.dsn("d"), autocommit=True) as connection:
            connection.execute("CREATE TABLE t AS SELECT generate_series(1, 10000) AS n")
        cluster.stop()
        assert cluster.shorten_log()
        content = archive.pack(cluster.data_dir, MANY)
        assert content is not None
        assert archive.pack(cluster.data_dir, 2**20) is None
        (cluster.data_dir / "pg_tblspc" / "1").symlink_to("/")
        assert archive.pack(cluster.data_dir, MANY) is None
    return content


def test_a_server_starts_on_it(binaries, packed):
    with Cluster(binaries, seed=lambda data: archive.unpack(packed, data)) as cluster:
        assert cluster.is_seeded
        with psycopg.connect(cluster.dsn("d")) as connection:
            assert connection.execute("SELECT count(*), sum(n) FROM t").fetchone() == (10000, 50005000)
            assert connection.execute("SELECT rolname FROM pg_roles WHERE rolname = 'somebody'").fetchone()
        owner = cluster.data_dir.stat()
        for path in cluster.data_dir.rglob("*"):
            status = path.stat()
            assert (status.st_uid, status.st_gid) == (owner.st_uid, owner.st_gid)
            assert status.st_mode & 0o077 == 0, path
        cluster.restart()
        assert cluster.is_seeded


def test_it_is_small(packed):
    assert len(packed) < 3_000_000


@pytest.mark.parametrize("change", ["cut", "changed", "longer", "empty", "outside", "no data directory"])
def test_what_is_not_whole_is_refused_and_made_anew(binaries, packed, tmp_path, change):
    middle = len(packed) // 2
    index = msgspec.json.encode([[], [["../out" if change == "outside" else "in", 0]], [1]])
    contents = {
        "cut": packed[:-1],
        "changed": packed[:middle] + bytes([packed[middle] ^ 1]) + packed[middle + 1 :],
        "longer": packed + b"x",
        "empty": b"",
    }
    strange = gzip.compress(len(index).to_bytes(8, "big") + index + b"x")
    content = contents.get(change, strange)
    if change != "no data directory":
        (tmp_path / "data").mkdir()
        with pytest.raises(ServerError):
            archive.unpack(content, tmp_path / "data")
        assert not (tmp_path / "out").exists()
    if change in {"changed", "no data directory"}:
        with Cluster(binaries, seed=lambda data: archive.unpack(content, data)) as cluster:
            assert not cluster.is_seeded
            with psycopg.connect(cluster.dsn()) as connection:
                assert connection.execute("SELECT count(*) FROM pg_roles WHERE rolname = 'somebody'").fetchone() == (0,)
