"""Which findings are there? Facts go through the rules that are selected, and what people allowed is taken out.

A suppression is used when it takes out a finding; one that is not becomes a fact itself, which the rules about
suppressions look at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache

from truing.config import Allowed, Config
from truing.errors import ConfigurationError
from truing.finding import Finding, Location
from truing.lint import rules
from truing.lint.context import Context
from truing.lint.facts import Fact, Facts, Suppressor, UnusableSuppression, UnusedSuppression
from truing.rule import Registry, Rule, Selection, did_you_mean


@cache
def registry() -> Registry:
    """Return the rules of truing and of installed packages.

    Raises:
        ConfigurationError: an installed package brings rules that cannot be loaded.
    """
    return Registry.discover(rules)


def lint(
    sources: Iterable[Facts], context: Context, *, known: Registry | None = None, everything: bool = True
) -> tuple[Finding, ...]:
    """Check facts.

    Args:
        sources: what was seen, with the suppressions beside it.
        context: with the configuration, whose ``select``, ``ignore`` and ``allow`` are applied.
        known: the rules there are; :func:`registry` by default.
        everything: whether models, revisions and database were all looked at; else nothing can be said about
            whether an entry of ``allow`` is used.

    Returns:
        The findings that nobody allowed.

    Raises:
        ConfigurationError: ``select`` or ``ignore`` names no rule.
    """
    known = registry() if known is None else known
    config = context.config
    selection = Selection.of(known, config.select, config.ignore, source=config.file)
    # Rules about other things than facts are another slice's: it judges the suppressions of its own findings.
    active = [each for name, each in known.items() if name in selection and issubclass(each.on, Fact)]
    selection = Selection(frozenset(each.name for each in active))
    gathered = list(sources)
    ledger = _Ledger([each for facts in gathered for each in facts.suppressors], config.allow)
    found = list(_run((fact for facts in gathered for fact in facts.facts), active, context, ledger))
    found += _run(ledger.leftovers(known, selection, config.file, judge_allow=everything), active, context, ledger)
    off = _off(known, config)
    return tuple(dict.fromkeys(each for each in found if each.rule not in off.get(each.revision, ())))


def _off(known: Registry, config: Config) -> dict[str, frozenset[str]]:
    """The rules that are not used on single revisions."""
    off: dict[str, frozenset[str]] = {}
    where = f"{config.file}: " if config.file else ""
    for revision, entries in config.per_revision_ignores.items():
        for entry in entries:
            names = known.matching(entry)
            if not names:
                raise ConfigurationError(
                    f"{where}per-revision-ignores.{revision} names no rule: {entry!r}",
                    hint=known.hint(entry),
                )
            off[revision] = off.get(revision, frozenset()) | names
    return off


def _run(facts: Iterable[Fact], active: list[Rule], context: Context, ledger: _Ledger) -> Iterator[Finding]:
    for fact in facts:
        for each in active:
            if not each.applies_to(fact):
                continue
            for emitted in each.check(fact, context):
                finding = each.finding(emitted, subject=fact.subject, location=fact.location, revision=fact.revision)
                if not ledger.allows(finding, fact):
                    yield finding


class _Ledger:
    """The suppressions, and which of them were of use."""

    def __init__(self, suppressors: list[Suppressor], allowed: tuple[Allowed, ...]) -> None:
        self._suppressors = list(dict.fromkeys(suppressors))
        self._allowed = allowed
        self._used: set[tuple[Suppressor | Allowed, str]] = set()

    def allows(self, finding: Finding, fact: Fact) -> bool:
        """Tell whether a finding is allowed; every suppression that says so counts as used."""
        used: set[tuple[Suppressor | Allowed, str]] = {
            (each, finding.rule)
            for each in self._suppressors
            for scope in fact.scopes
            if not each.problem
            and finding.rule in each.rules
            and each.source == scope.source
            and scope.first <= each.target <= scope.last
        }
        used |= {
            (each, finding.rule)
            for each in self._allowed
            if (each.rule, each.subject) == (finding.rule, finding.subject)
        }
        self._used |= used
        return bool(used)

    def leftovers(self, known: Registry, selection: Selection, file: str, *, judge_allow: bool) -> list[Fact]:
        """Return a fact for each suppression that was of no use."""
        facts: list[Fact] = []
        for each in self._suppressors:
            subject = f"{each.location.file}:{each.location.line}"
            if each.problem:
                facts.append(
                    UnusableSuppression(
                        subject=subject, location=each.location, revision=each.revision, problem=each.problem
                    )
                )
                continue
            facts += [
                _unused(name, subject, each.location, known, each.revision)
                for name in each.rules
                if _is_left((each, name), self._used, known, selection)
            ]
        for entry in self._allowed if judge_allow else ():
            if _is_left((entry, entry.rule), self._used, known, selection):
                facts.append(_unused(entry.rule, entry.subject, Location(file) if file else None, known))
        return facts


def _is_left(
    entry: tuple[Suppressor | Allowed, str],
    used: set[tuple[Suppressor | Allowed, str]],
    known: Registry,
    selection: Selection,
) -> bool:
    # A rule that is switched off finds nothing, which says nothing about the suppression.
    return entry not in used and (entry[1] not in known or entry[1] in selection)


def _unused(name: str, subject: str, location: Location | None, known: Registry, revision: str = "") -> Fact:
    advice = "" if name in known else did_you_mean(name, known)
    return UnusedSuppression(
        subject=subject, location=location, revision=revision, rule=name, known=name in known, advice=advice
    )
