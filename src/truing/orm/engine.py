"""Which findings are there about these mappers? Every subject goes through the rules that are selected for it.

A finding is taken out by ``# truing: allow NAME -- reason`` on the attribute (or on the class, for what is about the
class or its table), or by an entry of ``[[tool.truing.allow]]``. A comment that allows a rule of ours where there is
nothing to allow is a finding itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Final

from truing.finding import Finding, Location, Severity
from truing.orm import rules
from truing.orm.context import Context
from truing.orm.sources import shown
from truing.orm.subjects import MapperWarning, Subject
from truing.rule import Registry, Rule, Selection

UNUSED: Final = "unused-suppression"
"""The rule of the same name in lint; it speaks of suppressions, wherever they are."""


@cache
def registry() -> Registry:
    """Return the rules about mappers, and those of installed packages.

    Raises:
        ConfigurationError: an installed package brings rules that cannot be loaded.
    """
    return Registry.discover(rules)


def check(context: Context, warnings: Iterable[str] = (), *, known: Registry | None = None) -> tuple[Finding, ...]:
    """Check mappers against the database.

    Args:
        context: models and database.
        warnings: what SQLAlchemy warned of while the models were loaded and configured.
        known: the rules there are; :func:`registry` by default. ``select`` and ``ignore`` may name any of them, those
            about other things than mappers are passed over.

    Returns:
        The findings that nobody allowed.

    Raises:
        ConfigurationError: ``select`` or ``ignore`` names no rule.
    """
    known = registry() if known is None else known
    config = context.config
    selection = Selection.of(known, config.select, config.ignore, source=config.file)
    active = [each for name, each in known.items() if name in selection and issubclass(each.on, Subject)]
    used: set[tuple[str, int, str]] = set()
    subjects = [*context.subjects(), *_warnings(context, warnings)]
    found = [finding for finding, at in _run(subjects, active, context) if not _allowed(context, finding, at, used)]
    if UNUSED in selection or UNUSED not in known:
        found += _unused(context, {each.name for each in active}, used)
    return tuple(dict.fromkeys(found))


def _run(subjects: Iterable[Subject], active: list[Rule], context: Context) -> Iterator[tuple[Finding, Subject]]:
    for subject in subjects:
        location = subject.place.location if subject.place else None
        for each in active:
            if each.applies_to(subject):
                for emitted in each.check(subject, context):
                    yield each.finding(emitted, subject=subject.label, location=location), subject


def _allowed(context: Context, finding: Finding, subject: Subject, used: set[tuple[str, int, str]]) -> bool:
    suppression = context.sources.allowed(finding.rule, subject.place)
    if suppression is not None and subject.place is not None:
        used.add((subject.place.file, suppression.line, finding.rule))
        return True
    return any((each.rule, each.subject) == (finding.rule, finding.subject) for each in context.config.allow)


def _unused(context: Context, active: set[str], used: set[tuple[str, int, str]]) -> Iterator[Finding]:
    for file in context.sources.files:
        for suppression in context.sources.suppressions(file):
            for name in suppression.names:
                if suppression.problem or name not in active or (file, suppression.line, name) in used:
                    continue
                where = Location(shown(file), suppression.line)
                yield Finding(
                    rule=UNUSED,
                    severity=Severity.WARNING,
                    subject=f"{where.file}:{where.line}",
                    message=f"nothing here needs {name} to be allowed: remove the suppression",
                    location=where,
                )


def _warnings(context: Context, texts: Iterable[str]) -> Iterator[MapperWarning]:
    # SQLAlchemy calls a class by its bare name.
    called = {each: f"'{each.relationship}'" for each in context.relationships}
    mirrored = [{called[one], called[other]} for one, others in context.mirrors.items() for other in others]
    for text in texts:
        # What it speaks of comes first; what that is in conflict with follows.
        named = min(
            (each for each in called if called[each] in text), key=lambda each: text.index(called[each]), default=None
        )
        label = named.label if named else text.partition(".")[0]
        place = named.place if named else None
        known = any(all(name in text for name in names) for names in mirrored)
        yield MapperWarning(label=label, place=place, text=text, mirrored=known)
