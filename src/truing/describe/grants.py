"""Who may do what with an object? Grants go in; a line for each role comes out, the owner's own ones left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from truing.catalog.model import PUBLIC, Column, Grant
from truing.describe.texts import code
from truing.names import idents

_EVERYTHING: Final[Mapping[str, frozenset[str]]] = {
    "table": frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"}),
    "sequence": frozenset({"SELECT", "UPDATE", "USAGE"}),
    "schema": frozenset({"USAGE", "CREATE"}),
    "function": frozenset({"EXECUTE"}),
    "type": frozenset({"USAGE"}),
}
"""What ``GRANT ALL`` gives on every major; MAINTAIN, which tables have since 17, goes with the rest."""

_LATER: Final = frozenset({"MAINTAIN"})
_ORDER: Final = ("SELECT", "INSERT", "UPDATE", "DELETE")


def granted(
    kind: str, owner: str, grants: Iterable[Grant], columns: Iterable[Column] = ()
) -> Iterator[tuple[str, str]]:
    """Say who may do what.

    Args:
        kind: of the object, as in ``GRANT ... ON kind``.
        owner: who may do everything anyway; only said when somebody took something away.
        grants: on the whole object.
        columns: with grants of their own.

    Yields:
        A role and its privileges, as Markdown.
    """
    whole: defaultdict[str, set[tuple[str, bool]]] = defaultdict(set)
    for each in grants:
        whole[each.grantee].add((each.privilege, each.grantable))
    single: defaultdict[str, defaultdict[tuple[str, bool], list[str]]] = defaultdict(lambda: defaultdict(list))
    for column in columns:
        for each in column.grants:
            single[each.grantee][each.privilege, each.grantable].append(column.name)
    for role in sorted({*whole, *single}, key=lambda name: (name != PUBLIC, name)):
        names = {privilege for privilege, _ in whole[role]}
        if role == owner and _EVERYTHING[kind] <= names:
            continue
        parts = [*_whole(kind, whole[role]), *_single(single[role])]
        yield ("everybody" if role == PUBLIC else code(role)), ", ".join(parts)
    if owner and owner not in whole and _EVERYTHING[kind]:
        yield code(owner), "nothing, though the owner"


def _whole(kind: str, privileges: set[tuple[str, bool]]) -> Iterator[str]:
    everything = _EVERYTHING[kind]
    for grantable in (False, True):
        names = {privilege for privilege, may in privileges if may is grantable}
        end = ", and may grant it" if grantable else ""
        if len(everything) > 1 and everything <= names:
            yield f"everything{end}"
        else:
            yield from (f"{code(name)}{end}" for name in sorted(names, key=_place))


def _single(found: Mapping[tuple[str, bool], list[str]]) -> Iterator[str]:
    for (privilege, grantable), names in sorted(found.items()):
        yield code(f"{privilege} ({idents(names)})") + (", and may grant it" if grantable else "")


def _place(privilege: str) -> tuple[int, str]:
    return (_ORDER.index(privilege) if privilege in _ORDER else len(_ORDER)), privilege
