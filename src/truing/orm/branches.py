"""Which part of a trigger's function runs for one event? Its body in; the same without other events' branches out.

The body is read as text. Conditions that cannot be judged are taken as true and as false, so that nothing that may run
is left out.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

import msgspec

from truing.names import ident

_BRANCH: Final = re.compile(
    r"\b(?:(?P<end>END\s+(?:IF|CASE))|(?P<test>IF|ELSIF|ELSEIF)\b(?P<condition>[^;]*?)\bTHEN|ELSE|(?P<case>CASE))\b",
    re.IGNORECASE,
)
_EXPRESSION: Final = re.compile(r"\bCASE\b(?:(?!\bCASE\b)[^;])*?\bEND\b(?!\s+(?:IF|CASE|LOOP)\b)", re.IGNORECASE)
"""A CASE within a statement, the innermost one; its ELSE is no branch."""
_CASE: Final = re.compile(r"\bCASE\s+TG_OP\s+WHEN\s+('\w+')\s+THEN\b(.*?)\bEND\s+CASE\b", re.IGNORECASE | re.DOTALL)
_WHEN: Final = re.compile(r"\bWHEN\s+('\w+')\s+THEN\b", re.IGNORECASE)
_EVENT: Final = re.compile(
    r"\(*\s*TG_OP\s*(?P<sign>=|<>|!=|\bIN\b)\s*\(?(?P<events>\s*'\w+'(?:\s*,\s*'\w+')*\s*)\)?\s*\)*\s*", re.IGNORECASE
)
_AND: Final = re.compile(r"\bAND\b", re.IGNORECASE)


class _Frame(msgspec.Struct):
    """An IF or CASE: whether it runs at all, and whether one of its branches surely has."""

    outer: bool
    done: bool


def branches_of(body: str, event: str, given: Collection[str] = ()) -> str:
    """Leave out the branches that do not run.

    Args:
        body: of a function in PL/pgSQL, without comments.
        event: what fires the trigger: INSERT or UPDATE.
        given: the columns that are never NULL in a row that is written.
    """
    while _EXPRESSION.search(body):
        body = _EXPRESSION.sub("NULL", body)
    body = _CASE.sub(lambda case: _as_if(case[1], case[2]), body)
    kept, stack, at, runs = [], [], 0, True
    for each in _BRANCH.finditer(body):
        if runs:
            kept.append(body[at : each.start()])
        at = each.end()
        if each["case"] or (each["test"] and each["test"].upper() == "IF"):
            stack.append(_Frame(outer=runs, done=False))
        elif not stack:
            # The keywords of something that is no PL/pgSQL.
            continue
        frame = stack[-1]
        if each["end"]:
            stack.pop()
            runs = frame.outer
            continue
        verdict = _holds(each["condition"], event, given) if each["test"] else None
        runs = frame.outer and not frame.done and verdict is not False
        frame.done = frame.done or verdict is True
        if runs:
            # What was a condition ends a statement for whoever reads on.
            kept.append(" THEN ")
    if runs:
        kept.append(body[at:])
    return "".join(kept)


def _as_if(first: str, rest: str) -> str:
    return f"IF TG_OP = {first} THEN{_WHEN.sub(lambda when: f'ELSIF TG_OP = {when[1]} THEN', rest)}END IF"


def _holds(condition: str, event: str, given: Collection[str]) -> bool | None:
    """Judge a condition: None where it depends on more than the event and what is given."""
    parts = [_part(each, event, given) for each in _AND.split(condition)]
    return False if False in parts else True if all(parts) else None


def _part(condition: str, event: str, given: Collection[str]) -> bool | None:
    about = _EVENT.fullmatch(condition.strip())
    if about is not None:
        named = event in {each.upper() for each in re.findall(r"\w+", about["events"])}
        return named is (about["sign"].upper() in ("=", "IN"))
    missing = re.fullmatch(r'\(*\s*NEW\.("(?:[^"]|"")+"|\w+)\s+IS\s+NULL\s*\)*', condition.strip(), re.IGNORECASE)
    if missing is not None and any(missing[1] in (name, ident(name)) for name in given):
        return False
    return None
