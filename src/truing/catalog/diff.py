"""In what do two databases differ? Two snapshots go in, differences that a person can read come out.

Objects are matched by their names (functions by their arguments as well). What is implied is said once: a table that is
missing takes its columns with it, a constraint its index, an identity its sequence. An object of the same
definition under another name is renamed, not lost. Column positions, who granted a privilege, and names of NOT NULL
constraints (which only PostgreSQL 18 has) do not count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator
from typing import Any, Final

import msgspec

from truing.catalog.brought import moved
from truing.catalog.model import (
    Brought,
    CatalogValue,
    Column,
    Constraint,
    DatabaseObject,
    Extension,
    Function,
    Grant,
    Index,
    OwnedBy,
    Policy,
    Publication,
    PublishedTable,
    Rule,
    Schema,
    Sequence,
    Snapshot,
    Statistic,
    Table,
    Trigger,
    UserType,
    View,
)
from truing.catalog.objects import UNSEEN
from truing.catalog.renames import definition, printed_name, renamed, said_by_constraint, under_one_name
from truing.names import QualifiedName, ident

_WORD: Final[dict[type[CatalogValue], str]] = {
    Column: "column",
    Constraint: "constraint",
    DatabaseObject: "object",
    Extension: "extension",
    Function: "function",
    Index: "index",
    Policy: "policy",
    Publication: "publication",
    PublishedTable: "published table",
    Rule: "rule",
    Schema: "schema",
    Sequence: "sequence",
    Statistic: "statistics",
    Table: "table",
    Trigger: "trigger",
    UserType: "type",
    View: "view",
}

# The identity of an object is compared by matching it; `grants` and `not_nulls` have ways of their own.
_PASSED_OVER: Final = frozenset({"name", "arguments", "position", "grants", "not_nulls"})
# A constraint and its index have one name, and come and go together.
_PASSED_OVER_OF: Final[dict[type[CatalogValue], frozenset[str]]] = {
    Constraint: frozenset({"index"}),
    Index: frozenset({"constraint"}),
    Extension: frozenset({"comment"}),  # from the server's files
}
_OF_USE: Final = frozenset({"valid", "ready", "live"})
_SNAPSHOT_PASSED_OVER: Final = frozenset({"version", "database", "left_out", "unread"})
_NOTHING: Final = (frozenset[str](), frozenset[str]())

_BY_DEFINITION: Final[dict[type[CatalogValue], frozenset[str]]] = {
    Constraint: frozenset(Constraint.__struct_fields__)
    - {"name", "definition", "inherited", "local", "triggers_disabled", "comment"},
    Index: frozenset({"columns", "elements", "include", "method", "unique", "nulls_not_distinct", "predicate"})
    | {"options"},
    Trigger: frozenset({"function", "columns", "row", "constraint"}),
    Statistic: frozenset({"columns"}),
    Function: frozenset({"kind", "language", "returns", "security_definer", "atomic"}),
}
"""Fields that ``definition`` says too: where it differs they are not said again."""


class Difference(msgspec.Struct, frozen=True, order=True):
    """One difference between two databases.

    Attributes:
        kind: of the object, for example ``column``.
        name: of the object, for example ``app.profiles.tenant_id`` or ``p_app on app.profiles``.
        attribute: in what it differs, for example ``type``; empty when only one side has the object.
        before: on the first side; None when it has none (or not the object).
        after: on the second side, likewise.
    """

    kind: str
    name: str
    attribute: str
    before: str | None
    after: str | None

    @property
    def reverse(self) -> Difference:
        """The same, seen from the other side."""
        return Difference(self.kind, self.name, self.attribute, self.after, self.before)

    def __str__(self) -> str:
        if self.attribute:
            return f"{self.kind} {self.name}: {self.attribute}: {_shown(self.before)} -> {_shown(self.after)}"
        there, what = ("gone", self.before) if self.after is None else ("new", self.after)
        return f"{self.kind} {self.name}: {there}" + (f": {what}" if what else "")


def compare(a: Snapshot, b: Snapshot, *, ignore: Collection[str] = ()) -> tuple[Difference, ...]:
    """Compare two databases.

    Args:
        a: before, or what should be.
        b: after, or what is.
        ignore: attributes that do not count here, for example ``owner``, ``privileges`` (who may do what), ``comment``.

    Returns:
        The differences, sorted; empty when both mean the same. Swapping the sides swaps ``before`` and ``after``.
    """
    comparison = _Comparison(a, b, frozenset(ignore))
    found: set[Difference] = set()
    for family in Snapshot.__struct_fields__:
        if family not in {*_SNAPSHOT_PASSED_OVER, "brought"}:
            found.update(comparison.family(getattr(a, family), getattr(b, family), None))
    found.update(comparison.brought(a.brought, b.brought))
    found.update(Difference(*each) for each in moved(a.brought, b.brought) if "owner" not in ignore)
    return tuple(sorted(found, key=_order))


def objects(snapshot: Snapshot) -> Iterator[tuple[str, str, CatalogValue, CatalogValue]]:
    """Go through everything in a database: the word and the name that a difference has for it, it, and its owner.

    The owner is the table, view, type or publication that it belongs to; itself where it belongs to none.
    """
    for family in Snapshot.__struct_fields__:
        for value in getattr(snapshot, family) if family not in _SNAPSHOT_PASSED_OVER else ():
            yield from _with_parts(value, None, value)


def _with_parts(
    value: CatalogValue, parent: CatalogValue | None, owner: CatalogValue
) -> Iterator[tuple[str, str, CatalogValue, CatalogValue]]:
    yield _word(value), _title(value, parent), value, owner
    for field in value.__struct_fields__:
        inner = getattr(value, field)
        if field != "not_nulls" and _holds_objects(inner):
            for part in inner:
                yield from _with_parts(part, value, owner)


class _Comparison:
    """Compares values of two snapshots; each method yields differences."""

    def __init__(self, a: Snapshot, b: Snapshot, ignore: frozenset[str]) -> None:
        self._a, self._b, self._ignore = a, b, ignore
        self._not_nulls = all(side.version.has("not-null-not-valid") for side in (a, b))
        # A privilege that only one of the servers knows says nothing.
        same = a.version.has("maintain-privilege") == b.version.has("maintain-privilege")
        self._unknown_privileges = frozenset() if same else frozenset({"MAINTAIN"})

    def family(
        self, a: Iterable[CatalogValue], b: Iterable[CatalogValue], parent: CatalogValue | None
    ) -> Iterator[Difference]:
        """Compare all objects of a kind that belong to one parent (or to the database)."""
        ours, theirs = {_key(value): value for value in a}, {_key(value): value for value in b}
        for key in ours.keys() & theirs.keys():
            # Nearly everything is equal, and equality costs next to nothing.
            if ours[key] != theirs[key]:
                yield from self.value(ours[key], theirs[key], parent)
        gone = [value for key, value in ours.items() if key not in theirs]
        new = [value for key, value in theirs.items() if key not in ours]
        for one, other in renamed(gone, new):
            gone.remove(one)
            new.remove(other)
            if not (isinstance(one, Index) and one.constraint):
                yield self._renaming(one, other, parent)
            yield from self.value(*under_one_name(one, other), parent)
        yield from (self._existence(value, parent, gone=True) for value in gone if not _implied(value, self._b))
        yield from (self._existence(value, parent, gone=False) for value in new if not _implied(value, self._a))

    def value(self, a: CatalogValue, b: CatalogValue, parent: CatalogValue | None) -> Iterator[Difference]:
        """Compare two objects field by field."""
        word, name = _word(a), min(_title(a, parent), _title(b, parent))
        passed_over = _passed_over(a, b)
        for field in a.__struct_fields__:
            if field in passed_over or field in self._ignore:
                continue
            before, after = getattr(a, field), getattr(b, field)
            if field == "definition":
                before, after = definition(a), definition(b)
            if _holds_objects(before) or _holds_objects(after):
                # Of a renamed parent, one name stands for both, whichever side comes first.
                yield from self.family(before, after, min(a, b, key=printed_name))
            elif before != after:
                texts = _both(before, after)
                if isinstance(a, Index) and a.unique and field in _OF_USE:  # what it lacks may be there twice
                    texts = (f"UNIQUE: {texts[0]}", f"UNIQUE: {texts[1]}")
                yield Difference(word, name, field.replace("_", " "), *texts)
        yield from self._privileges(a, b, word, name)
        if isinstance(a, Table) and isinstance(b, Table) and self._not_nulls:
            yield from self._unproved(a, b)
        if isinstance(a, UserType) and isinstance(b, UserType):
            yield from _in_order(a, b, name)

    def _privileges(self, a: CatalogValue, b: CatalogValue, word: str, name: str) -> Iterator[Difference]:
        if "grants" not in a.__struct_fields__ or "privileges" in self._ignore:
            return
        before, after = self._by_grantee(a), self._by_grantee(b)
        for grantee in before.keys() | after.keys():
            ours, theirs = before.get(grantee), after.get(grantee)
            if ours != theirs:
                yield Difference(word, name, f"privileges of {grantee}", ours, theirs)

    def brought(self, a: Iterable[Brought], b: Iterable[Brought]) -> Iterator[Difference]:
        """Compare what has changed since it came. What a side does not have is there as it came."""
        if "privileges" in self._ignore:
            return
        ours, theirs = ({(each.kind, each.name): self._since(each) for each in side} for side in (a, b))
        for key in ours.keys() | theirs.keys():
            before, after = ours.get(key, {}), theirs.get(key, {})
            for role in before.keys() | after.keys():
                (had, has), (had_there, has_there) = before.get(role, _NOTHING), after.get(role, _NOTHING)
                # What it came with is another major's business, not what has been added and taken away since.
                if (has - had, had - has) != (has_there - had_there, had_there - has_there):
                    said = (has if role in before else had_there, has_there if role in after else had)
                    if said[0] != said[1]:
                        texts = [", ".join(sorted(each)) or None for each in said]
                        yield Difference(*key, f"privileges of {role}", *texts)

    def _since(self, value: Brought) -> dict[str, tuple[frozenset[str], frozenset[str]]]:
        """Say what each role could do with something when it came, and can do now."""
        had, has = self._terms(value.owner, value.initial), self._terms(value.owner, value.grants)
        return {role: (had.get(role, _NOTHING[0]), has.get(role, _NOTHING[0])) for role in had.keys() | has.keys()}

    def _by_grantee(self, value: Any) -> dict[str, str]:
        granted = self._terms(getattr(value, "owner", None), value.grants)
        return {grantee: ", ".join(sorted(privileges)) for grantee, privileges in granted.items()}

    def _terms(self, owner: str | None, given: Iterable[Grant]) -> dict[str, frozenset[str]]:
        grants: defaultdict[str, set[str]] = defaultdict(set)
        for grant in given:
            if grant.privilege not in self._unknown_privileges:
                # Whoever the owner is, what the owner may do is the same; another owner is a difference of its own.
                grantee = "the owner" if grant.grantee == owner else ident(grant.grantee)
                grants[grantee].add(grant.privilege + (" with grant option" if grant.grantable else ""))
        return {grantee: frozenset(privileges) for grantee, privileges in grants.items()}

    def _unproved(self, a: Table, b: Table) -> Iterator[Difference]:
        """Compare NOT NULL constraints by their column. That there is a valid one, ``Column.not_null`` has said."""
        before, after = ({c.columns: c for c in table.not_nulls} for table in (a, b))
        for columns in before.keys() | after.keys():
            one, other = before.get(columns), after.get(columns)
            name = f"{a.name}.{ident(columns[0])}" if columns else str(a.name)
            if one is None or other is None:
                if not all(side.validated for side in (one, other) if side is not None):
                    state = [None if side is None else "NOT VALID" for side in (one, other)]
                    yield Difference("column", name, "not null constraint", *state)
                continue
            for field in one.__struct_fields__:
                # The definition holds the names of the columns and what the other fields say.
                if field not in {"name", "definition", *self._ignore} and getattr(one, field) != getattr(other, field):
                    values = _both(getattr(one, field), getattr(other, field))
                    yield Difference("column", name, f"not null constraint: {field.replace('_', ' ')}", *values)

    def _renaming(self, one: CatalogValue, other: CatalogValue, parent: CatalogValue | None) -> Difference:
        names = (str(getattr(one, "name", "")), str(getattr(other, "name", "")))
        return Difference(_word(one), min(_title(one, parent), _title(other, parent)), "name", *names)

    @staticmethod
    def _existence(value: CatalogValue, parent: CatalogValue | None, *, gone: bool) -> Difference:
        summary = _summary(value)
        before, after = (summary, None) if gone else (None, summary)
        return Difference(_word(value), _title(value, parent), "", before, after)


# -- matching ----------------------------------------------------------------------------------------------------------


def _key(value: Any) -> Hashable:
    if isinstance(value, Function):
        return value.name, value.arguments
    if isinstance(value, DatabaseObject):
        return value.kind, value.name
    return value.table if isinstance(value, PublishedTable) else value.name


def _implied(value: CatalogValue, other: Snapshot) -> bool:
    """Tell whether something else that the other side lacks says already that it lacks this."""
    if isinstance(value, Index) and value.constraint:
        return True
    if isinstance(value, Sequence) and value.owned_by is not None:
        table = other.table(value.owned_by.table)
        column = table.column(value.owned_by.column) if table is not None else None
        return column is None or (value.owned_by.identity and not column.identity)
    return False


def _passed_over(a: CatalogValue, b: CatalogValue) -> frozenset[str]:
    """Name the fields of two objects in which they are not compared: what another field or object says already."""
    passed_over = _PASSED_OVER | _PASSED_OVER_OF.get(type(a), frozenset())
    if definition(a) != definition(b):
        passed_over |= _BY_DEFINITION.get(type(a), frozenset())
    if UNSEEN in (definition(a), definition(b)) or said_by_constraint(a, b):
        passed_over |= {"definition"}
    if isinstance(a, Column) and isinstance(b, Column) and a.type != b.type:
        passed_over |= {"storage"}  # a type brings its own
    return passed_over


def _in_order(a: UserType, b: UserType, name: str) -> Iterator[Difference]:
    """Compare the order of a composite type's attributes: its values are written without their names."""
    both = {each.name for each in a.columns} & {each.name for each in b.columns}
    before, after = ([ident(each.name) for each in side.columns if each.name in both] for side in (a, b))
    if before != after:
        yield Difference("type", name, "order of attributes", ", ".join(before), ", ".join(after))


# -- words -------------------------------------------------------------------------------------------------------------


def _title(value: Any, parent: Any) -> str:
    """The name of an object for a person."""
    if isinstance(value, Column):
        return f"{parent.name}.{ident(value.name)}"
    if isinstance(value, Index):
        return QualifiedName(parent.name.schema, value.name).sql
    if isinstance(value, Constraint | Policy | Trigger | Rule):
        return f"{ident(value.name)} on {parent.name}"
    if isinstance(value, PublishedTable):
        return f"{value.table} of {ident(parent.name)}"
    if isinstance(value, Function):
        return f"{value.name}({value.arguments})"
    return (
        str(value.name)
        if isinstance(value.name, QualifiedName) or isinstance(value, Brought | DatabaseObject)
        else ident(value.name)
    )


def _word(value: CatalogValue) -> str:
    return value.kind if isinstance(value, Brought | DatabaseObject) else _WORD[type(value)]


def _summary(value: Any) -> str:
    """What an object is, in a line, for when only one side has it. Never empty, so that it is there."""
    if isinstance(value, Table):
        return ", ".join(f"{ident(column.name)} {column.type}" for column in value.columns) or value.kind
    if isinstance(value, Column):
        return value.type + (" not null" if value.not_null else "")
    if isinstance(value, Policy):
        return f"for {value.command} to {', '.join(map(ident, value.roles))}"
    if isinstance(value, UserType):
        return value.kind
    return getattr(value, "definition", "").strip() or _WORD[type(value)]


def _holds_objects(value: Any) -> bool:
    return isinstance(value, tuple) and any(isinstance(item, CatalogValue) and type(item) in _WORD for item in value)


def _both(before: Any, after: Any) -> tuple[str | None, str | None]:
    texts = (_rendered(before), _rendered(after))
    return texts if texts[0] != texts[1] else (repr(before), repr(after))


def _rendered(value: Any) -> str | None:
    if value is None or value in ((), ""):
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(_rendered(item) or "(expression)" for item in value)
    if isinstance(value, OwnedBy):
        return f"{value.table}.{ident(value.column)}" + (" (identity)" if value.identity else "")
    if isinstance(value, Grant):  # pragma: no cover - grants are compared by grantee
        return value.privilege
    return str(value)


def _shown(value: str | None) -> str:
    return "(none)" if value is None else value


def _order(difference: Difference) -> tuple[str, ...]:
    # The two sides are looked at in one order whichever is first, so that swapping them does not reorder.
    sides = sorted((difference.before or "", difference.after or ""))
    return (difference.name, difference.kind, difference.attribute, *sides)
