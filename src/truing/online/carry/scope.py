"""Which column does a name in a query mean? Names and FROM items go in, the column comes out, as PostgreSQL has it.

Only as much of PostgreSQL's name resolution as definitions need that the server itself has printed
(``pg_get_viewdef``, ``pg_get_expr``): stars are expanded there and every table is qualified. Whatever cannot be
told for certain raises :class:`UnclearNameError` rather than being guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from truing.errors import UnsupportedChangeError
from truing.names import QualifiedName

_INTEGERS: Final = ("smallint", "integer", "bigint")
_TEXTS: Final = ("text", "character varying")


def means_the_same(old: str, new: str) -> bool:
    """Tell whether expressions over one type mean the same over the other, so that nothing has to be cast back.

    Casting back would even be wrong: ``integer`` becomes ``bigint`` because values no longer fit.
    """
    old, new = (name.partition("(")[0] for name in (old, new))
    if old in _INTEGERS and new in _INTEGERS:
        return _INTEGERS.index(old) <= _INTEGERS.index(new)
    return old == new or (old in _TEXTS and new in _TEXTS)


class UnclearNameError(UnsupportedChangeError):
    """A definition uses the column in a way that cannot be rewritten."""


class Changed(msgspec.Struct, frozen=True):
    """A column whose type changes.

    Attributes:
        old_type: its type before, which expressions over it go on to see.
        new_type: its type afterwards.
        collation: the old collation, where the new column does not have it.
        name: the name to write instead of its own; empty to leave it.
        bare: whether the new type needs no cast to mean the same in every expression (``integer`` -> ``bigint``).
    """

    old_type: str
    new_type: str
    collation: QualifiedName | None = None
    name: str = ""
    bare: bool = False


class Item:
    """One thing in a FROM clause: its name there, its columns (None: not known) and which of them change."""

    __slots__ = ("changed", "columns", "name", "relation")

    def __init__(
        self,
        name: str,
        columns: tuple[str, ...] | None,
        changed: Mapping[str, Changed],
        relation: QualifiedName | None = None,
    ) -> None:
        self.name = name
        self.columns = columns
        self.changed = changed
        self.relation = relation

    def aliased(self, name: str, column_names: tuple[str, ...]) -> Item:
        """Return it as ``item AS name (column_names)``.

        Raises:
            UnclearNameError: columns get other names, and which is not known.
        """
        if not column_names:
            return Item(name, self.columns, self.changed)
        if self.columns is None:
            if self.changed:
                raise UnclearNameError(f"the column names of {name} are not known")
            return Item(name, None, {})
        names = (*column_names, *self.columns[len(column_names) :])
        renamed = dict(zip(self.columns, names, strict=True))
        return Item(name, names, {renamed[old]: changed for old, changed in self.changed.items()})


class Scope:
    """What names can mean at one place of a query: the FROM items of its level, the CTEs, and the levels around it."""

    __slots__ = ("ctes", "items", "merged", "parent")

    def __init__(self, parent: Scope | None = None, items: tuple[Item, ...] = ()) -> None:
        self.parent = parent
        self.items = list(items)
        self.ctes: dict[str, Item] = {}
        self.merged: dict[str, Changed | None] = {}
        """Columns of JOIN ... USING, which belong to both sides."""

    def without_items(self) -> Scope:
        """Return what a FROM item that is not LATERAL sees: the CTEs of its level, but not its neighbours."""
        scope = Scope(self.parent)
        scope.ctes = self.ctes
        return scope

    def levels(self) -> Iterator[Scope]:
        """Visit this level and those around it, from the inside out."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    def cte(self, name: str) -> Item | None:
        """Find a CTE."""
        return next((scope.ctes[name] for scope in self.levels() if name in scope.ctes), None)

    def row(self, name: str) -> Item | None:
        """Find a FROM item by its name."""
        return next((item for scope in self.levels() for item in scope.items if item.name == name), None)

    def changed(self, names: tuple[str, ...]) -> Changed | None:
        """Return how the column that a name means changes; None where it does not.

        Args:
            names: the parts of a column reference, without a star.

        Raises:
            UnclearNameError: it cannot be told.
        """
        match names:
            case (column,):
                return self._unqualified(column)
            case (name, column):
                item = self.row(name)
                return item.changed.get(column) if item is not None else None
            case (schema, name, column):
                relation = QualifiedName(schema, name)
                found = (item for scope in self.levels() for item in scope.items if item.relation == relation)
                item = next(found, None)
                return item.changed.get(column) if item is not None else None
        raise UnclearNameError(f"the name {'.'.join(names)} has more parts than a column can have")

    def _unqualified(self, column: str) -> Changed | None:
        unknown = False
        for scope in self.levels():
            if column in scope.merged:
                found = scope.merged[column]
            else:
                owners = [item for item in scope.items if item.columns is not None and column in item.columns]
                if not owners:
                    unknown = unknown or any(item.columns is None for item in scope.items)
                    continue
                if len(owners) > 1 and any(column in item.changed for item in owners):
                    raise UnclearNameError(f"it cannot be told whose column {column} is")
                found = owners[0].changed.get(column)
            if found is not None and unknown:
                raise UnclearNameError(f"it cannot be told whether {column} belongs to a function's result")
            return found
        return None
