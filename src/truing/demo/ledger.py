"""The writers' own books: what each of them wrote, kept in the same transactions, to be held against the tables.

The ledger lives in a schema of its own and has no foreign key to the tables, so that nothing that happens to them
happens to it. What a row must be is computed by Python (:class:`uuid.UUID`), not by the code that is under test.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import psycopg

SCHEMA: Final = "truing_demo"

_SETUP: Final = """
CREATE SCHEMA truing_demo;
CREATE TABLE truing_demo.ledger (
  profile_id uuid PRIMARY KEY, writer integer NOT NULL, tenant uuid NOT NULL, display_name text,
  grants integer NOT NULL DEFAULT 0, deleted boolean NOT NULL DEFAULT false, inserted boolean NOT NULL DEFAULT false);
GRANT USAGE ON SCHEMA truing_demo TO PUBLIC;
GRANT SELECT, INSERT, UPDATE ON truing_demo.ledger TO PUBLIC;
"""

_WRONG: Final = """
SELECT count(*) FILTER (WHERE NOT l.deleted AND p.id IS NULL),
  count(*) FILTER (WHERE NOT l.deleted AND p.id IS NOT NULL
    AND (lower(btrim(p.tenant_id::text, E'{} \\t\\r\\n'))::uuid <> l.tenant
         OR p.display_name IS DISTINCT FROM l.display_name)),
  count(*) FILTER (WHERE l.deleted AND p.id IS NOT NULL),
  count(*) FILTER (WHERE NOT l.deleted AND l.inserted AND l.grants <> (SELECT count(*) FROM user_roles r
    WHERE r.user_id = l.profile_id)),
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
        duplicated: rows more (or, below zero, fewer) than there can be.
        checked: rows of the ledger.
    """

    lost: int
    wrong: int
    resurrected: int
    wrong_grants: int
    duplicated: int
    checked: int

    @property
    def clean(self) -> bool:
        """Whether nothing is amiss."""
        return not (self.lost or self.wrong or self.resurrected or self.wrong_grants or self.duplicated)


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
    row = connection.execute(_WRONG).fetchone() or (0,) * 5
    counted = connection.execute(
        "SELECT (SELECT count(*) FROM profiles), count(*) FILTER (WHERE inserted),"
        " count(*) FILTER (WHERE deleted) FROM truing_demo.ledger"
    ).fetchone() or (0, 0, 0)
    expected = profiles_before + counted[1] - counted[2] - moved_away
    return Verdict(row[0], row[1], row[2], row[3], counted[0] - expected, row[4])
