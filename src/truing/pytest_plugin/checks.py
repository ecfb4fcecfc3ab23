"""Which checks does ``pytest --truing`` add? Each: a name, a sentence for its failure, and a question to the bench."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from truing.drift.building import stairs
from truing.drift.building.stairs import Stairs
from truing.errors import UsageError
from truing.finding import Finding
from truing.pytest_plugin.bench import Bench
from truing.report.document import Document, document
from truing.rule import did_you_mean


class Check(msgspec.Struct, frozen=True):
    """A check.

    Attributes:
        name: what a person selects it by.
        failure: what it means that it fails.
        ask: finds out.
    """

    name: str
    failure: str
    ask: Callable[[Bench], Document]


def _climbing(find: Callable[[Stairs], Iterable[Finding]]) -> Callable[[Bench], Document]:
    def ask(bench: Bench) -> Document:
        return document("pytest", findings=find(bench.stairs()), fail_on=bench.config.fail_on)

    return ask


def _models_match(bench: Bench) -> Document:
    return bench.command("drift", "--models", "--migrations", "--scratch-url", bench.scratch_url)


def _orm(bench: Bench) -> Document:
    return bench.command("orm", "--database-url", bench.migrated())


def _lint(bench: Bench) -> Document:
    return bench.command("lint", "--only", "revisions", "--only", "models")


CHECKS: Final = (
    Check("single-head", "The revisions have more than one head.", _climbing(stairs.single_head)),
    Check("stairway", "A revision does not survive going up, down and up again.", _climbing(stairs.stairway)),
    Check("no-trace", "A downgrade leaves a trace.", _climbing(stairs.traces)),
    Check("models-match", "The models and the migrations do not agree.", _models_match),
    Check("orm", "The mappers do not tell the truth about the database.", _orm),
    Check("lint", "A revision or a model breaks a rule.", _lint),
)
"""In the order to run them."""


def chosen(select: Iterable[str], skip: Iterable[str]) -> tuple[Check, ...]:
    """Choose checks.

    Args:
        select: names, each entry several separated by commas; none for all.
        skip: likewise, taken out of those.

    Raises:
        UsageError: a name is not that of a check.
    """
    wanted, unwanted = _names(select, "--truing-select"), _names(skip, "--truing-skip")
    return tuple(each for each in CHECKS if (not wanted or each.name in wanted) and each.name not in unwanted)


def _names(entries: Iterable[str], option: str) -> frozenset[str]:
    names = frozenset(name.strip() for entry in entries for name in entry.split(",") if name.strip())
    known = [each.name for each in CHECKS]
    for name in sorted(names.difference(known)):
        raise UsageError(f"{option} names no check: {name!r}", hint=did_you_mean(name, known))
    return names
