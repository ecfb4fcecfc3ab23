"""Every single change of a database is noticed, named as what it is, and said of nothing else than it."""

from __future__ import annotations

import psycopg
import pytest

from tests.postgres.drift_mutations import BASE, MUTATIONS
from truing.catalog.read import read_snapshot
from truing.drift.comparing.compare import Sides, compare_sides
from truing.drift.model import Verdict


@pytest.fixture(params=MUTATIONS)
def mutations(request):
    return MUTATIONS[request.param]


def test_there_are_enough():
    assert sum(map(len, MUTATIONS.values())) >= 200


def test_each_is_noticed_and_named(mutations, database):
    database.execute(BASE)
    connection = database.connect()
    before = read_snapshot(connection)
    wrong = []
    for statement, kind, name, attribute, *major in mutations:
        if major and database.version.major < major[0]:
            continue
        try:
            with connection.transaction(force_rollback=True):
                connection.execute("SET LOCAL allow_system_table_mods = on")
                connection.execute(statement.encode(), prepare=False)
                after = read_snapshot(connection)
        except psycopg.Error as error:
            wrong.append((statement, "is refused", str(error)))
            continue
        drifts = compare_sides(Sides(head=before, live=after)).drifts
        said = [(each.kind, each.name, [aspect.attribute for aspect in each.aspects]) for each in drifts]
        hit = [
            one for one in said
            if one[0] == kind and (name == "*" or name in one[1]) and any(a.startswith(attribute) and bool(a) == bool(attribute) for a in one[2])
        ]  # fmt: skip
        if not hit or any(each.verdict is not Verdict.LIVE_EDITED for each in drifts):
            wrong.append((statement, "says", said))
    assert wrong == []


def test_nothing_differs_from_itself(database, make_database):
    database.execute(BASE)
    one = read_snapshot(database.connect())
    again = read_snapshot(make_database(template=None).connect())
    assert compare_sides(Sides(models=one, head=one, live=one)).drifts == ()
    assert compare_sides(Sides(head=one, live=again)).drifts != ()
