"""All rules there are, of every slice: what ``select``, ``ignore`` and ``truing rule`` may name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from truing.rule import Registry


def every_rule() -> Registry:
    """Gather the rules of all slices and of installed packages.

    Raises:
        ConfigurationError: an installed package brings rules that cannot be loaded.
    """
    from truing.drift.rules import registry as drift_rules
    from truing.lint.engine import registry as lint_rules
    from truing.orm.engine import registry as orm_rules
    from truing.rule import Registry

    return Registry([*lint_rules().values(), *drift_rules().values(), *orm_rules().values()])


def require_rules(entries: Iterable[str], option: str) -> None:
    """See that each entry of an option stands for a rule.

    Raises:
        UsageError: one does not.
    """
    from truing.errors import UsageError

    known = every_rule()
    for entry in entries:
        if not known.matching(entry):
            raise UsageError(f"{option} names no rule: {entry!r}", hint=known.hint(entry))
