"""The writers' own books: what each of them wrote, kept in the same transactions, to be held against the tables.

The ledger lives in a schema of its own and has no foreign key to the tables, so that nothing that happens to them
happens to it. What a row must be is computed by Python (:class:`uuid.UUID`), not by the code that is under test.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec
import psycopg

from truing.demo.job import Refusal
from truing.demo.wrongs import WRONGS

SCHEMA: Final = "truing_demo"

_SETUP: Final = """
CREATE SCHEMA truing_demo;
CREATE TABLE truing_demo.ledger (
  profile_id uuid PRIMARY KEY, writer integer NOT NULL, tenant uuid NOT NULL, display_name text,
  grants integer, deleted boolean NOT NULL DEFAULT false, inserted boolean NOT NULL DEFAULT false);
CREATE TABLE truing_demo.item (id uuid PRIMARY KEY, tenant uuid NOT NULL);
CREATE TABLE truing_demo.wrong (
  kind text NOT NULL, rel text NOT NULL, id text NOT NULL, col text, at timestamptz NOT NULL DEFAULT clock_timestamp(),
  txid xid8 NOT NULL DEFAULT pg_current_xact_id());
GRANT USAGE ON SCHEMA truing_demo TO PUBLIC;
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA truing_demo TO PUBLIC;
"""
# ledger: one row is a profile that a writer owns; grants is NULL until the writer knows. item: one row is a sidebar
# item that must be there. wrong: one row is one that the database let through and should not have.

_WRONG: Final = """
SELECT count(*) FILTER (WHERE NOT l.deleted AND p.id IS NULL),
  count(*) FILTER (WHERE NOT l.deleted AND p.id IS NOT NULL
    AND (lower(btrim(p.tenant_id::text, E'{} \\t\\r\\n'))::uuid <> l.tenant
         OR p.display_name IS DISTINCT FROM l.display_name)),
  count(*) FILTER (WHERE l.deleted AND p.id IS NOT NULL),
  count(*) FILTER (WHERE NOT l.deleted AND l.grants <> (SELECT count(*) FROM user_roles r
    WHERE r.user_id = l.profile_id
    AND NOT EXISTS (SELECT FROM truing_demo.wrong w WHERE w.rel = 'user_roles' AND w.id = r.id::text))),
  (SELECT count(*) FROM truing_demo.item i
    WHERE NOT EXISTS (SELECT FROM sidebar_features s WHERE (s.id, s.tenant_id) = (i.id, i.tenant))),
  count(*)
FROM truing_demo.ledger l LEFT JOIN profiles p ON p.id = l.profile_id
"""


class Verdict(msgspec.Struct, frozen=True):
    """What the ledger says of the tables.

    Attributes:
        lost: rows that a writer wrote and that are not there.
        wrong: rows that hold another tenant or name than was last written.
        resurrected: rows that a writer deleted and that are there.
        wrong_grants: profiles whose number of role grants is not what was written.
        lost_items: sidebar items that a writer wrote and that are not its tenant's.
        duplicated: rows more (or, below zero, fewer) than there can be.
        checked: rows of the ledger.
    """

    lost: int
    wrong: int
    resurrected: int
    wrong_grants: int
    lost_items: int
    duplicated: int
    checked: int

    @property
    def clean(self) -> bool:
        """Whether nothing is amiss."""
        return not any((self.lost, self.wrong, self.resurrected, self.wrong_grants, self.lost_items, self.duplicated))


class Wrongs(msgspec.Struct, frozen=True):
    """What became of one kind of wrongful write (:mod:`truing.demo.wrongs`).

    Attributes:
        name: the kind.
        refused_by: what refuses it.
        let_through: how many writes were let through.
        rows: how many rows that made wrong.
        settled: how many of them are in the quarantine, or were replaced there by their policy.
        refused: how many writes were refused.
        in_order: whether none was let through once one had been refused.
    """

    name: str
    refused_by: str
    let_through: int
    rows: int
    settled: int
    refused: int
    in_order: bool

    @property
    def good(self) -> bool:
        """Whether every one was refused or settled, and refused from some moment on."""
        return self.rows == self.settled and self.in_order


def setup(connection: psycopg.Connection[Any]) -> None:
    """Make the ledger."""
    connection.execute(_SETUP)


def remove(connection: psycopg.Connection[Any]) -> None:
    """Remove the ledger."""
    connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")


def check(connection: psycopg.Connection[Any], *, profiles_before: int, moved_away: int = 0) -> Verdict:
    """Hold the ledger against the tables.

    Args:
        connection: of a role that sees every row.
        profiles_before: rows of profiles before the writers began.
        moved_away: rows that truing moved to quarantine.
    """
    row = connection.execute(_WRONG).fetchone() or (0,) * 6
    counted = connection.execute(
        "SELECT (SELECT count(*) FROM profiles), count(*) FILTER (WHERE inserted),"
        " count(*) FILTER (WHERE deleted) FROM truing_demo.ledger"
    ).fetchone() or (0, 0, 0)
    expected = profiles_before + counted[1] - counted[2] - moved_away
    return Verdict(row[0], row[1], row[2], row[3], row[4], counted[0] - expected, row[5])


_SETTLED: Final = """
SELECT w.kind, count(DISTINCT w.txid), count(*), count(q.pk), max(extract(epoch FROM w.at))::float8
FROM truing_demo.wrong w LEFT JOIN (
  SELECT DISTINCT rel, pk, CASE WHEN row_data IS NULL THEN col END AS col FROM _truing.quarantine
  WHERE resolved_at IS NULL) q
  ON q.rel = 'public.' || w.rel AND q.pk ->> 'id' = w.id AND q.col IS NOT DISTINCT FROM w.col
GROUP BY 1
"""


def wrongs(
    connection: psycopg.Connection[Any], refusals: Iterable[Refusal], *, at_head: bool = True
) -> tuple[Wrongs, ...]:
    """Say what became of each kind of wrongful write that was tried.

    Args:
        connection: of a role that sees every row.
        refusals: what the writers say was refused.
        at_head: without it, only of those that are refused before.
    """
    through = {row[0]: row[1:] for row in connection.execute(_SETTLED)}
    refused: dict[str, list[float]] = {}
    for each in refusals:
        refused.setdefault(each.name, []).append(each.at)
    made = []
    for kind in WRONGS:
        writes, rows, settled, last = through.get(kind.name, (0, 0, 0, 0.0))
        times = refused.get(kind.name, [])
        if (writes or times) and (at_head or kind.before_head):
            in_order = not times or last < min(times)
            made.append(Wrongs(kind.name, kind.refused_by, writes, rows, settled, len(times), in_order))
    return tuple(made)
