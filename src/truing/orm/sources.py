"""Where are models written, and what do their authors allow there? Classes in; lines and suppressions out."""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import cached_property
from pathlib import Path

import msgspec

from truing.finding import Location
from truing.sql.comments import Suppression, python_suppressions


class Place(msgspec.Struct, frozen=True):
    """Where a subject is written.

    Attributes:
        location: the line to show.
        file: the file, as Python knows it.
        first: the first line on which a suppression counts.
        last: the last one.
    """

    location: Location
    file: str
    first: int
    last: int


class Sources:
    """The sources of the models; each file is read once."""

    def __init__(self) -> None:
        self._classes: dict[type, _Written | None] = {}
        self._files: dict[str, tuple[Suppression, ...]] = {}

    def of(self, class_: type | None, attribute: str = "") -> Place | None:
        """Find a class, or the line of an attribute of it, also where a mixin has it.

        Args:
            class_: the class; None for a table that no class maps.
            attribute: the attribute's name; empty for the class itself.
        """
        if class_ is None:
            return None
        for each in class_.__mro__ if attribute else (class_,):
            written = self._written(each)
            lines = written.attributes.get(attribute) if written else None
            if written and lines:
                return written.place(*lines)
        written = self._written(class_)
        return written.place(written.first, written.last) if written else None

    def allowed(self, rule: str, place: Place | None) -> Suppression | None:
        """Return the suppression that allows a rule at a place."""
        if place is None:
            return None
        return next(
            (each for each in self.suppressions(place.file) if each.allows(rule, place.first, place.last)), None
        )

    def suppressions(self, file: str) -> tuple[Suppression, ...]:
        """Return the suppressions in a file."""
        if file not in self._files:
            try:
                text = Path(file).read_text(encoding="utf-8", errors="replace")
            except OSError:
                text = ""
            self._files[file] = python_suppressions(text)
        return self._files[file]

    @property
    def files(self) -> tuple[str, ...]:
        """The files of all classes that were asked for."""
        return tuple(dict.fromkeys(each.file for each in self._classes.values() if each))

    def _written(self, class_: type) -> _Written | None:
        if class_ not in self._classes:
            self._classes[class_] = _find(class_)
        return self._classes[class_]


class _Written(msgspec.Struct, frozen=True, dict=True):
    """A class in its file."""

    file: str
    text: str
    first: int

    @property
    def last(self) -> int:
        return self.first + len(self.text.splitlines()) - 1

    def place(self, first: int, last: int) -> Place:
        return Place(Location(shown(self.file), first), self.file, first, last)

    @cached_property
    def attributes(self) -> dict[str, tuple[int, int]]:
        try:
            tree = ast.parse(textwrap.dedent(self.text))
        except SyntaxError:
            return {}
        found: dict[str, tuple[int, int]] = {}
        body = tree.body[0].body if tree.body and isinstance(tree.body[0], ast.ClassDef) else []
        for statement in body:
            for name in _names(statement):
                last = statement.end_lineno or statement.lineno
                found[name] = (self.first + statement.lineno - 1, self.first + last - 1)
        return found


def _names(statement: ast.stmt) -> list[str]:
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case ast.Assign(targets=targets):
            return [each.id for each in targets if isinstance(each, ast.Name)]
        case ast.FunctionDef(name=name):
            return [name]
    return []


def _find(class_: type) -> _Written | None:
    try:
        file = inspect.getsourcefile(class_)
        lines, first = inspect.getsourcelines(class_)
    except (OSError, TypeError):
        return None
    return _Written(file, "".join(lines), first) if file else None


def shown(file: str) -> str:
    """Write a file as a person in this folder would."""
    path = Path(file)
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
