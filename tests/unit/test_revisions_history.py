"""What is still to be run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.projects import make_project, revision
from truing.errors import ProjectError
from truing.revisions.history import pending, revisions
from truing.revisions.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(
        tmp_path,
        revision("a1", "pass", branch_labels=("left",)),
        revision("a2", "pass", down="a1"),
        revision("b1", "pass", branch_labels=("right",)),
        revision("b2", "pass", down="b1", depends_on="a2"),
    )


@pytest.mark.parametrize(
    ("applied", "target", "expected"),
    [
        ((), "heads", ["a1", "a2", "b1", "b2"]),
        (("a1",), "heads", ["a2", "b1", "b2"]),
        (("a2", "b1"), "heads", ["b2"]),
        (("b2",), "heads", []),
        ((), "left@head", ["a1", "a2"]),
        (("a1",), "right@head", ["a2", "b1", "b2"]),
        (("a1",), "a2", ["a2"]),
        (("a1",), "left@+1", ["a2"]),
    ],
)
def test_pending(project: Project, applied: tuple[str, ...], target: str, expected: list[str]) -> None:
    found = [one.revision for one in pending(project, applied, target)]
    assert sorted(found) == sorted(expected)
    order = {name: place for place, name in enumerate(found)}
    for before, after in (("a1", "a2"), ("b1", "b2"), ("a2", "b2")):
        assert order.get(before, -1) < order.get(after, 99)


def test_a_revision_that_only_the_database_knows_is_named(project: Project) -> None:
    with pytest.raises(ProjectError, match="database is at revision 'deadbeef'"):
        pending(project, ("a1", "deadbeef"))


def test_an_abbreviation_in_the_database_is_not_guessed_at(project: Project) -> None:
    with pytest.raises(ProjectError, match="database is at revision 'a'"):
        pending(project, ("a",))


def test_a_target_that_does_not_exist_is_named(project: Project) -> None:
    with pytest.raises(ProjectError, match="nope"):
        pending(project, (), "nope")


def test_head_is_not_guessed_between_several(project: Project) -> None:
    with pytest.raises(ProjectError, match="Multiple head"):
        pending(project, (), "head")


def test_all_revisions_in_order(project: Project) -> None:
    found = revisions(project)
    names = [one.revision for one in found]
    assert sorted(names) == ["a1", "a2", "b1", "b2"]
    assert all(names.index(down) < names.index(one.revision) for one in found for down in one.down_revisions)
    last = found[names.index("b2")]
    assert (last.down_revisions, Path(last.path).name, last.message) == (("b1", "a2"), "r0004.py", "the b2 revision")
