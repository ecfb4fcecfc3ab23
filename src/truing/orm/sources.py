"""Where are models written, and what do their authors allow there? Classes in; lines and suppressions out."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
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
    """The sources of the models; each file is read and parsed once."""

    def __init__(self) -> None:
        self._files: dict[str, _File] = {}
        self._of_class: dict[type, str | None] = {}

    def of(self, class_: type | None, attribute: str = "") -> Place | None:
        """Find a class, or the line of an attribute of it, also where a mixin has it.

        Args:
            class_: the class; None for a table that no class maps.
            attribute: the attribute's name; empty for the class itself.
        """
        if class_ is None:
            return None
        for each in class_.__mro__ if attribute else ():
            file, written = self._written(each)
            if written and attribute in written.attributes:
                return _place(file, *written.attributes[attribute])
        file, written = self._written(class_)
        return _place(file, written.first, written.last) if written else None

    def of_table(self, class_: type, table: str) -> Place | None:
        """Find a ``name = Table(...)`` in the file of a class that uses it; the class where it is not there.

        Args:
            class_: the class.
            table: the table's name, without its schema.
        """
        file, _ = self._written(class_)
        lines = self._file(file).tables.get(table) if file else None
        return _place(file, *lines) if lines else self.of(class_)

    def allowed(self, rule: str, place: Place | None) -> Suppression | None:
        """Return the suppression that allows a rule at a place."""
        if place is None:
            return None
        return next(
            (each for each in self.suppressions(place.file) if each.allows(rule, place.first, place.last)), None
        )

    def suppressions(self, file: str) -> tuple[Suppression, ...]:
        """Return the suppressions in a file."""
        return self._file(file).suppressions

    @property
    def files(self) -> tuple[str, ...]:
        """The files of all classes that were asked for."""
        return tuple(self._files)

    def _written(self, class_: type) -> tuple[str, _Written | None]:
        if class_ not in self._of_class:
            try:
                self._of_class[class_] = inspect.getsourcefile(class_)
            except (OSError, TypeError):
                self._of_class[class_] = None
        file = self._of_class[class_]
        # inspect.getsourcelines() would parse the whole file again for every class.
        return file or "", self._file(file).classes.get(class_.__qualname__) if file else None

    def _file(self, file: str) -> _File:
        if file not in self._files:
            self._files[file] = _read(file)
        return self._files[file]


class _Written(msgspec.Struct, frozen=True):
    """A class in its file: its lines, and those of its attributes."""

    first: int
    last: int
    attributes: dict[str, tuple[int, int]]


class _File(msgspec.Struct, frozen=True):
    """A file: its classes by their qualified names, the lines of its tables without a class, and its suppressions."""

    classes: dict[str, _Written]
    tables: dict[str, tuple[int, int]]
    suppressions: tuple[Suppression, ...]


def _read(file: str) -> _File:
    try:
        text = Path(file).read_text(encoding="utf-8", errors="replace")
        tree = ast.parse(text)
    except (OSError, SyntaxError, ValueError):
        return _File({}, {}, ())
    # Most files of a class hierarchy (the standard library's, SQLAlchemy's) have no suppression; tokenizing is slow.
    suppressions = python_suppressions(text) if "truing" in text else ()
    return _File(dict(_classes(tree, "")), dict(_tables(tree)), suppressions)


def _classes(node: ast.AST, prefix: str) -> Iterator[tuple[str, _Written]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            name = prefix + child.name
            attributes = {
                attribute: (_first_line(statement), statement.end_lineno or statement.lineno)
                for statement in child.body
                for attribute in _names(statement)
            }
            yield name, _Written(_first_line(child), child.end_lineno or child.lineno, attributes)
            yield from _classes(child, f"{name}.")
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _classes(child, f"{prefix}{child.name}.<locals>.")
        elif isinstance(child, ast.stmt):
            yield from _classes(child, prefix)


def _tables(tree: ast.Module) -> Iterator[tuple[str, tuple[int, int]]]:
    for each in tree.body:
        match each:
            case (
                ast.Assign(value=ast.Call(func=called, args=[ast.Constant(value=str(name)), *_]))
                | ast.AnnAssign(value=ast.Call(func=called, args=[ast.Constant(value=str(name)), *_]))
            ) if ast.unparse(called).rpartition(".")[2] == "Table":
                yield name, (each.lineno, each.end_lineno or each.lineno)


def _first_line(statement: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(each.lineno for each in decorators)])


def _names(statement: ast.stmt) -> list[str]:
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case ast.Assign(targets=targets):
            return [each.id for each in targets if isinstance(each, ast.Name)]
        case ast.FunctionDef(name=name):
            return [name]
    return []


def _place(file: str, first: int, last: int) -> Place:
    return Place(Location(shown(file), first), file, first, last)


def shown(file: str) -> str:
    """Write a file as a person in this folder would."""
    path = Path(file)
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
