"""Which GRANT and REVOKE bring privileges from one state to another? Two states go in, lines of Python come out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from truing.catalog.brought import Terms, terms
from truing.catalog.model import PUBLIC, Brought
from truing.drift.fixing.spelling import execute
from truing.names import ident

_WORD: Final = {"view": "TABLE", "column": "TABLE"}
_NOTHING: Final[Terms] = frozenset()


def granted(have: Brought | None, want: Brought | None) -> tuple[str, ...] | None:
    """Write what changes the privileges on something that PostgreSQL or an extension brought.

    Args:
        have: as it is; None where it is as it came.
        want: as it shall be; likewise.

    Returns:
        Lines for ``upgrade()``; None where it is about what the owner may do.
    """
    value = have or want
    if value is None:
        return None
    before = _state(have, want)
    after = _state(want, have)
    lines: list[str] = []
    for role in sorted(before.keys() | after.keys()):
        ours, theirs = before.get(role, _NOTHING), after.get(role, _NOTHING)
        if ours != theirs and role == value.owner:
            return None
        lines += _of_role(value, role, ours, theirs)
    return tuple(lines) or None


def _state(value: Brought | None, other: Brought | None) -> dict[str, Terms]:
    """Say what each role may do; of a role that only the other state has changed, what it could do to begin with."""
    known = terms(other.initial) if other is not None else {}
    if value is None:
        return known
    changed = {each.grantee for each in (*value.grants, *value.initial)}
    return {role: what for role, what in known.items() if role not in changed} | terms(value.grants)


def _of_role(value: Brought, role: str, have: Terms, want: Terms) -> Iterator[str]:
    to = "PUBLIC" if role == PUBLIC else ident(role)
    mine, its = ({what for what, _ in each} for each in (have, want))
    may, shall = ({what for what, grantable in each if grantable} for each in (have, want))
    if gone := mine - its:
        yield execute(f"REVOKE {_what(value, gone)} FROM {to}")
    if kept := (may - shall) & its:
        yield execute(f"REVOKE GRANT OPTION FOR {_what(value, kept)} FROM {to}")
    if new := its - mine - shall:
        yield execute(f"GRANT {_what(value, new)} TO {to}")
    if more := shall - may:
        yield execute(f"GRANT {_what(value, more)} TO {to} WITH GRANT OPTION")


def _what(value: Brought, privileges: set[str]) -> str:
    column = f" ({value.name.removeprefix(f'{value.relation}.')})" if value.relation else ""
    said = ", ".join(f"{each}{column}" for each in sorted(privileges))
    return f"{said} ON {_WORD.get(value.kind, value.kind.upper().replace('-', ' '))} {value.relation or value.name}"
