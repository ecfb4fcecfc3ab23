"""What is a rule, which rules are there, and which of them are asked for?

In: functions under ``@rule`` (their docstring is their documentation page), found in packages and in the entry-point
group ``truing.rules``. Out: a frozen :class:`Registry`, and the :class:`Selection` of names that a run uses. Nothing is
registered by importing: a rule is a value in a module, and a registry is made from modules.
"""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from importlib import import_module
from inspect import cleandoc
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import msgspec

from truing.errors import ConfigurationError, UsageError
from truing.finding import Evidence, Finding, Location, Severity

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINT_GROUP: Final = "truing.rules"
"""Third parties put a module, a package or a rule of their own in this group."""

_CODE = re.compile(r"[A-Z]{2,4}[0-9]{3}")
_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)+")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)

Subject = TypeVar("Subject")
Emitted: TypeAlias = Iterable["Finding | Problem | str"]


class Problem(msgspec.Struct, frozen=True):
    """What a rule has seen, where its message alone does not say enough.

    Attributes:
        message: what happens, to whom.
        remedy: what to do instead, ready to paste.
        subject: what it is about; what the rule looked at where empty.
        severity: how much it matters; the rule's own where None.
        location: where it comes from; that of what the rule looked at where None.
        evidence: what was seen.
    """

    message: str
    remedy: str = ""
    subject: str = ""
    severity: Severity | None = None
    location: Location | None = None
    evidence: tuple[Evidence, ...] = ()


class Block(msgspec.Struct, frozen=True):
    """A code block of a rule's page: its language (``python``, ``sql``) and its text."""

    language: str
    code: str


class Docs(msgspec.Struct, frozen=True):
    """The documentation of a rule, read from its docstring.

    Attributes:
        what: the text below ``## What it does``.
        why: the text below ``## Why is this bad?``.
        example: the block below ``## Example``; the rule fires on it.
        use_instead: the block after ``Use instead:``; no rule fires on it.
        notes: any further sections, as Markdown.
    """

    what: str
    why: str
    example: Block
    use_instead: Block
    notes: str = ""


class Rule(msgspec.Struct, frozen=True, eq=False):
    """One check: what it is called, what it looks at, and its documentation.

    Attributes:
        code: its number, for example ``TR101``.
        name: the pattern that it finds; reads after "allow".
        on: the type of the subjects that it looks at.
        severity: of its findings, unless it yields findings of its own making.
        since: the release that brought it.
        check: the function itself, ``(subject, context) -> findings or messages``.
        docs: its page.
        varies: when a finding has another severity, and which; empty where none has.
    """

    code: str
    name: str
    on: type[Any]
    severity: Severity
    since: str
    check: Callable[[Any, Any], Emitted]
    docs: Docs
    varies: str = ""

    def applies_to(self, subject: object) -> bool:
        """Tell whether the rule looks at this subject."""
        return isinstance(subject, self.on)

    def finding(
        self, emitted: Finding | Problem | str, *, subject: str, location: Location | None = None, revision: str = ""
    ) -> Finding:
        """Complete what the rule yielded.

        Args:
            emitted: what it yielded.
            subject: what it looked at.
            location: where that comes from.
            revision: the Alembic revision that it belongs to.
        """
        if isinstance(emitted, Finding):
            return emitted
        problem = Problem(emitted) if isinstance(emitted, str) else emitted
        return Finding(
            rule=self.name,
            severity=problem.severity or self.severity,
            subject=problem.subject or subject,
            message=problem.message,
            location=problem.location or location,
            evidence=problem.evidence,
            remedy=problem.remedy,
            revision=revision,
        )

    @property
    def source(self) -> str:
        """The module and the line where the rule is written, for "view source" links."""
        code = getattr(self.check, "__code__", None)
        return f"{self.check.__module__}:{getattr(code, 'co_firstlineno', 1)}"


def rule(
    code: str, name: str, *, on: type[Subject], severity: Severity, since: str, varies: str = ""
) -> Callable[[Callable[[Subject, Any], Emitted]], Rule]:
    """Make a rule of a function. Its docstring must have the four parts that :func:`parse_docs` reads.

    Args:
        code: capital letters and three digits.
        name: words in lower case joined by hyphens, naming the pattern and never the fix.
        on: the type of its subjects.
        severity: of the findings that it yields as plain messages.
        since: the release that brings it.
        varies: when a finding has another severity, and which, for its page.

    Returns:
        A decorator, which turns the function into a :class:`Rule`.

    Raises:
        ValueError: the code, the name or the docstring is not as it must be.
    """
    if not _CODE.fullmatch(code):
        raise ValueError(f"rule code {code!r} must be two to four capital letters and three digits")
    if not _NAME.fullmatch(name):
        raise ValueError(f"rule name {name!r} must be words in lower case joined by hyphens")

    def decorate(check: Callable[[Subject, Any], Emitted]) -> Rule:
        try:
            docs = parse_docs(check.__doc__ or "")
        except ValueError as error:
            raise ValueError(f"the docstring of rule {name} {error}") from None
        return Rule(code, name, on, severity, since, check, docs, varies)

    return decorate


def parse_docs(docstring: str) -> Docs:
    """Read the documentation of a rule.

    Args:
        docstring: with ``## What it does``, ``## Why is this bad?`` and ``## Example``, the last one with one code
            block, the words ``Use instead:`` and a second code block; further sections are free.

    Raises:
        ValueError: a part is missing; the message says which one.
    """
    parts = re.split(r"^## (.+)$", cleandoc(docstring), flags=re.MULTILINE)
    sections = dict(zip((title.strip() for title in parts[1::2]), (text.strip() for text in parts[2::2]), strict=True))
    for title in ("What it does", "Why is this bad?", "Example"):
        if not sections.get(title):
            raise ValueError(f"has no section '## {title}'")
    before, separator, after = sections.pop("Example").partition("Use instead:")
    bad, good = (_BLOCK.search(text) for text in (before, after))
    if bad is None:
        raise ValueError("has no code block in '## Example'")
    if not separator or good is None:
        raise ValueError("has no code block after 'Use instead:'")
    what, why = sections.pop("What it does"), sections.pop("Why is this bad?")
    notes = "\n\n".join(f"## {title}\n{text}" for title, text in sections.items())
    return Docs(what, why, Block(bad[1], bad[2]), Block(good[1], good[2]), notes)


class Registry(Mapping[str, Rule]):
    """The rules there are, by name, in the order of their codes."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        """Make a registry.

        Args:
            rules: any order; the same rule twice is fine (a package may import a rule from its module).

        Raises:
            ConfigurationError: two rules share a name or a code.
        """
        unique = sorted(dict.fromkeys(rules), key=lambda each: (each.code, each.name))
        for attribute in ("code", "name"):
            seen: dict[str, Rule] = {}
            for each in unique:
                other = seen.setdefault(getattr(each, attribute), each)
                if other is not each:
                    raise ConfigurationError(
                        f"Two rules have the {attribute} {getattr(each, attribute)}: {other.source} and {each.source}",
                        hint="Uninstall one of the packages that bring them, or tell its author.",
                    )
        self._rules = {each.name: each for each in unique}
        self._codes = {each.code: each for each in unique}

    def __getitem__(self, name: str) -> Rule:
        """Return a rule by its name."""
        return self._rules[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._rules)

    def __len__(self) -> int:
        """Count the rules."""
        return len(self._rules)

    def find(self, text: str) -> Rule:
        """Return the rule that a person means by a name or a code, in any case.

        Raises:
            UsageError: there is none; the hint has the nearest names.
        """
        found = self._rules.get(text.lower()) or self._codes.get(text.upper())
        if found is None:
            raise UsageError(f"There is no rule {text!r}.", hint=self.hint(text))
        return found

    def hint(self, text: str) -> str:
        """Say what a person may have meant by something that is no rule."""
        # All of them would fill the screen.
        near = did_you_mean(text, [*self._rules, *self._codes])
        return near if near.startswith("Did") else "`truing rule` lists all of them."

    def matching(self, text: str) -> frozenset[str]:
        """Return the names that an entry of ``select`` or ``ignore`` stands for; none when it means nothing.

        Args:
            text: a name, a code, the start of codes (``TR1``) or ``ALL``.
        """
        if text.upper() == "ALL":
            return frozenset(self._rules)
        if text.lower() in self._rules:
            return frozenset({text.lower()})
        prefix = text.upper()
        return frozenset(each.name for each in self._rules.values() if prefix and each.code.startswith(prefix))

    @classmethod
    def discover(cls, *packages: ModuleType, group: str = ENTRY_POINT_GROUP) -> Registry:
        """Find rules in packages, and those of third parties.

        Args:
            packages: searched with all their modules.
            group: the entry-point group; empty to leave third parties out.

        Raises:
            ConfigurationError: a third party's module cannot be loaded, or two rules share a name.
        """
        found = [each for package in packages for module in _modules(package) for each in _rules_in(module)]
        from importlib.metadata import entry_points  # noqa: PLC0415 - loading it is slow

        plugins = sorted(entry_points(group=group), key=lambda each: each.name) if group else []
        return cls([*found, *(each for plugin in plugins for each in _plugin_rules(plugin))])


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    yield package
    names = (info.name for info in pkgutil.walk_packages(getattr(package, "__path__", []), package.__name__ + "."))
    yield from map(import_module, sorted(names))


def _rules_in(module: ModuleType) -> Iterator[Rule]:
    return (value for value in vars(module).values() if isinstance(value, Rule))


def _plugin_rules(plugin: EntryPoint) -> list[Rule]:
    try:
        loaded = plugin.load()
        if isinstance(loaded, Rule):
            return [loaded]
        if isinstance(loaded, ModuleType):
            return [each for module in _modules(loaded) for each in _rules_in(module)]
    except Exception as error:
        owner = plugin.dist.name if plugin.dist else "an installed package"
        raise ConfigurationError(
            f"The rules {plugin.name!r} ({plugin.value}) of {owner} cannot be loaded: {error}",
            hint=f"Upgrade or uninstall {owner}.",
        ) from error
    raise ConfigurationError(f"The entry point {plugin.name!r} ({plugin.value}) is neither a rule nor a module.")


class Selection(msgspec.Struct, frozen=True):
    """The rules of a run: the names that are in."""

    names: frozenset[str]

    def __contains__(self, name: object) -> bool:
        return name in self.names

    @classmethod
    def of(
        cls, registry: Registry, select: Iterable[str] = ("ALL",), ignore: Iterable[str] = (), *, source: str = ""
    ) -> Selection:
        """Choose rules.

        Args:
            registry: the rules there are.
            select: names, codes, starts of codes or ``ALL``.
            ignore: the same; a more exact entry wins over a less exact one, and ``ignore`` wins over ``select``
                between equals. So ``select = ["TR101"], ignore = ["TR1"]`` leaves TR101 in.
            source: where the entries come from, for messages (a file, an option).

        Raises:
            ConfigurationError: an entry stands for no rule; the hint has the nearest name.
        """
        exactness: dict[str, tuple[int, bool]] = {}
        for wanted, entries in ((True, select), (False, ignore)):
            for entry in entries:
                names = registry.matching(entry)
                if not names:
                    key = "select" if wanted else "ignore"
                    raise ConfigurationError(
                        f"{source + ': ' if source else ''}{key} names no rule: {entry!r}",
                        hint=registry.hint(entry),
                    )
                for name in names:
                    rank = (_exactness(entry, registry[name]), not wanted)
                    exactness[name] = max(exactness.get(name, (-1, False)), rank)
        return cls(frozenset(name for name, (_, ignored) in exactness.items() if not ignored))


def _exactness(entry: str, of: Rule) -> int:
    if entry.upper() == "ALL":
        return 0
    return len(of.code) if entry.lower() == of.name else len(entry)


def did_you_mean(text: str, known: Iterable[str]) -> str:
    """Return a hint that names what a person probably meant, or else all that is known."""
    everything = list(dict.fromkeys(known))
    folded = {each.lower(): each for each in everything}
    near = get_close_matches(text.lower(), folded, n=1, cutoff=0.6)
    if near:
        return f"Did you mean {folded[near[0]]}?"
    return f"Known: {', '.join(everything)}." if everything else ""
