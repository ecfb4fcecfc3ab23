"""Every revision up, down and up again on a real server: what it leaves is named, whatever fails, all others are judged."""

from __future__ import annotations

import os

import pytest

from tests.projects import make_project, revision
from truing.drift.building.stairs import climb, single_head, stairway, traces
from truing.drift.building.workshop import Workshop
from truing.errors import RevisionError


@pytest.fixture
def workshop(cluster):
    with Workshop(scratch_url=cluster.url()) as workshop:
        yield workshop


@pytest.fixture
def climbed(workshop, tmp_path):
    """A function that climbs a project of these revisions; `databases` are those of the server before."""

    def climbed(*revisions: str, **options: object):
        return climb(workshop, make_project(tmp_path, *revisions), **options)

    return climbed


def databases(workshop: Workshop) -> set[str]:
    """The databases of this process, without the one that is asked in."""
    asked = workshop.prepared(())
    with workshop.connect(asked) as connection:
        rows = connection.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE %s", (f"truing\\_{os.getpid()}\\_%",)
        )
        found = {name for (name,) in rows if name != asked.name}
    workshop.scratch.drop(asked)
    return found


def said(findings) -> list[tuple[str, str, str]]:
    return [(each.rule, each.revision, each.subject) for each in findings]


TABLE = 'op.create_table("{0}", sa.Column("id", sa.Integer, primary_key=True))'
DROP = 'op.drop_table("{0}")'


def table(name: str, **options: object) -> str:
    return revision(name, TABLE.format(name), downgrade=DROP.format(name), **options)


def test_branches_merges_and_dependencies_are_climbed_in_order(climbed, workshop):
    before = databases(workshop)
    stairs = climbed(
        table("a"),
        table("b", down="a", branch_labels=("one",)),
        table("c", down="a"),
        table("d", down="c", depends_on="b"),
        revision("m", "pass", down=("b", "d")),
        table("x", depends_on="m"),
    )
    assert set(stairs.heads) == {"m", "x"}
    assert [each.revision for each in stairs.stairs] == list(stairs.revisions)
    assert set(stairs.revisions) == set("abcdmx")
    order = stairs.revisions.index
    assert order("a") < order("b") < order("d") < order("m") < order("x")
    assert (list(stairway(stairs)), list(traces(stairs)), stairs.floor) == ([], [], "base")
    (heads,) = single_head(stairs)
    assert (heads.rule, set(heads.subject.split(", "))) == ("several-heads", {"m", "x"})
    # No database of the climb is left.
    assert databases(workshop) == before


HOSTILE = r"""op.execute('CREATE TYPE "mo""od \\:x\n;" AS ENUM ()')"""


def test_what_a_downgrade_leaves_is_named(climbed):
    upgrade = f'{TABLE.format("a")}\n{HOSTILE}\nop.execute("CREATE FUNCTION f(i int) RETURNS int RETURN i")'
    above = (
        table("b", down="a"),
        revision(
            "c",
            'op.add_column("b", sa.Column("n", sa.Text))\nop.alter_column("b", "id", server_default="7")',
            down="b",
            downgrade='op.drop_column("b", "n")',
        ),
    )
    found = list(traces(climbed(revision("a", upgrade, downgrade=DROP.format("a")), *above)))
    assert said(found) == [
        ("downgrade-leaves-trace", "a", 'type public."mo""od :x\n;"'),
        ("downgrade-leaves-trace", "a", "function public.f(i integer)"),
        ("downgrade-leaves-trace", "c", "column public.b.id"),
    ]
    hostile, function, column = found
    assert function.message == "function public.f(i integer) is still there after the downgrade of a."
    assert function.remedy == "op.execute('DROP ROUTINE public.f(i integer)') at the end of downgrade()"
    assert function.location is not None
    assert function.location.file.endswith("r0001.py")
    assert "default differs after the downgrade of c." in column.message
    assert [each.label for each in column.evidence] == ["before the upgrade", "after the downgrade"]
    assert [each.value for each in column.evidence][1] == "7"
    # Each remedy does what it says.
    remedied = "\n".join(
        [DROP.format("a"), *(each.remedy.removesuffix(" at the end of downgrade()") for each in (function, hostile))]
    )
    assert said(traces(climbed(revision("a", upgrade, downgrade=remedied), *above))) == said([column])


def test_a_downgrade_that_takes_too_much(climbed):
    stairs = climbed(
        table("a"),
        table("b", down="a"),
        revision("c", "pass", down="b", downgrade='op.drop_table("a")'),
    )
    (trace,) = traces(stairs)
    assert trace.message == "table public.a was there before the upgrade and is gone after the downgrade of c."
    (changed,) = (each for each in stairway(stairs) if each.rule == "second-upgrade-differs")
    assert (changed.subject, changed.revision) == ("table public.a", "c")
    assert "table public.a is missing" in changed.message


def test_after_a_failure_the_others_are_judged(climbed):
    stairs = climbed(
        table("a"),
        revision("b", TABLE.format("b"), down="a", downgrade='raise NotImplementedError("no way back")'),
        revision("c", TABLE.format("c"), down="b", downgrade="pass"),
        table("d", down="c"),
        revision("e", 'op.execute("CREATE TYPE e AS ENUM ()")', down="d", downgrade="pass"),
    )
    assert said(stairway(stairs)) == [
        ("downgrade-fails", "b", "b"),
        ("second-upgrade-fails", "c", "c"),
        ("second-upgrade-fails", "e", "e"),
    ]
    assert said(traces(stairs)) == [
        ("downgrade-fails", "b", "b"),
        ("downgrade-leaves-trace", "c", "table public.c"),
        ("downgrade-leaves-trace", "e", "type public.e"),
    ]
    failure = next(stairway(stairs))
    assert failure.message == "The revision cannot be taken back: NotImplementedError: no way back"
    assert failure.location is not None
    assert failure.location.line == 11
    # Below a revision that does not come down nobody has been.
    assert stairs.floor is None


def test_nothing_above_a_revision_that_cannot_be_applied(climbed):
    stairs = climbed(table("a"), revision("b", 'op.drop_table("nowhere")', down="a"), table("c", down="b"))
    assert [each.revision for each in stairs.stairs] == ["a", "b"]
    (failure,) = stairway(stairs)
    assert (failure.rule, failure.revision) == ("upgrade-fails", "b")
    assert 'table "nowhere" does not exist' in failure.message
    assert list(traces(stairs)) == []


def test_the_floor_is_not_taken_back(climbed):
    revisions = (
        revision("a", TABLE.format("a"), downgrade="raise NotImplementedError"),
        revision("b", TABLE.format("b"), down="a", downgrade="raise NotImplementedError"),
        table("c", down="b"),
        revision("d", TABLE.format("d"), down="c", downgrade="pass"),
    )
    stairs = climbed(*revisions, floor="b")
    assert said(stairway(stairs)) == [("second-upgrade-fails", "d", "d")]
    assert said(traces(stairs)) == [("downgrade-leaves-trace", "d", "table public.d")]
    clean = climbed(*revisions[:3], table("d", down="c"), floor="b")
    assert (list(stairway(clean)), list(traces(clean)), clean.floor) == ([], [], "b")
    with pytest.raises(RevisionError, match="nonsense"):
        climbed(*revisions, floor="nonsense")


# Alone it comes down, but not after `b` has put a row into the table.
KEEPS = """
op.execute("DO $$ BEGIN IF NOT EXISTS (SELECT FROM a) THEN DROP TABLE a; {otherwise} END IF; END $$")
"""


@pytest.mark.parametrize("otherwise", ["", "ELSE RAISE 'there are rows';"])
def test_what_only_all_of_them_leave(climbed, otherwise):
    stairs = climbed(
        revision("a", TABLE.format("a"), downgrade=KEEPS.format(otherwise=otherwise)),
        revision("b", 'op.execute("INSERT INTO a VALUES (1) ON CONFLICT DO NOTHING")', down="a"),
    )
    assert list(stairway(stairs)) == []
    (found,) = traces(stairs)
    if otherwise:
        assert (found.rule, found.revision) == ("downgrade-fails", "a")
        assert "there are rows" in found.message
    else:
        assert (found.subject, found.message) == (
            "table public.a",
            "table public.a is still there after `alembic downgrade base`.",
        )


def test_roles_that_are_taken_for_granted_or_made(climbed):
    stairs = climbed(
        revision(
            "a",
            TABLE.format("a") + '\nop.execute("GRANT SELECT ON a TO truing_stairs_reader")\n'
            'op.execute("CREATE ROLE truing_stairs_writer")',
            downgrade=DROP.format("a") + '\nop.execute("DROP ROLE truing_stairs_writer")',
        )
    )
    assert (list(stairway(stairs)), list(traces(stairs))) == ([], [])


def test_other_peoples_tables_do_not_count(climbed):
    one = revision("a", 'op.execute("CREATE TABLE IF NOT EXISTS theirs ()")')
    assert said(traces(climbed(one))) == [("downgrade-leaves-trace", "a", "table public.theirs")]
    assert list(traces(climbed(one, unmanaged=("theirs",)))) == []


@pytest.mark.parametrize("says", [True, False], ids=["stamped by itself", "stamped by us"])
def test_revisions_that_begin_with_a_schema_file(workshop, tmp_path, says):
    """What the base is at is run neither up nor down."""
    stamped = (
        "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY); INSERT INTO alembic_version VALUES ('b')"
    )
    start = workshop.prepared(["CREATE TABLE old ()", *(stamped.split("; ") if says else ())])
    project = make_project(
        tmp_path,
        revision("a", 'op.drop_table("nowhere")'),
        revision("b", 'op.drop_table("nowhere")', down="a"),
        revision("c", TABLE.format("c"), down="b", downgrade='op.drop_table("c")\nop.drop_table("old")'),
        table("d", down="c"),
    )
    stairs = climb(workshop, project, start=start, stamp=() if says else ("b",))
    assert [each.revision for each in stairs.stairs] == ["c", "d"]
    assert said(traces(stairs)) == [("downgrade-leaves-trace", "c", "table public.old")]
    assert said(stairway(stairs)) == [("second-upgrade-differs", "c", "table public.old")]
