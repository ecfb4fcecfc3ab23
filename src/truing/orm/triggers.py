"""Which columns do triggers write? A table with its triggers and functions in; names of columns out.

A function's body is read as text, by what assignments to ``NEW.column`` look like; where it cannot be seen through,
:func:`may_write` says yes and :func:`written` nothing, so that neither leads to a false alarm.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Final, Literal

from truing.catalog.model import Function, Table, Trigger, View
from truing.names import ident
from truing.orm.branches import branches_of
from truing.orm.context import Context

Event = Literal["INSERT", "UPDATE"]

_NAME: Final = r'("(?:[^"]|"")+"|\w+)'
_ASSIGNED: Final = re.compile(
    rf"(?:(?:^|;|\bTHEN|\bELSE|\bBEGIN|\bLOOP)\s*NEW\.{_NAME}\s*:?=|\bNEW\.{_NAME}\s*:=)\s*([^;]*)", re.IGNORECASE
)
_PART: Final = r"""(?:[\w.]|"(?:[^"]|"")+")+"""
_INTO: Final = re.compile(rf"\bINTO\s+(?:STRICT\s+)?({_PART}(?:\s*,\s*{_PART})*)", re.IGNORECASE)
_WHOLE: Final = re.compile(r"\bNEW\s*:?=|\bINTO\s+(?:STRICT\s+)?NEW\b(?!\.)", re.IGNORECASE)
_COMMENT: Final = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_FIRST_ARGUMENT: Final = ("moddatetime", "tsvector_update_trigger", "tsvector_update_trigger_column", "autoinc")
"""Functions of PostgreSQL and its extensions that write the column named by their first argument."""


def written(context: Context, table: Table, event: Event, given: Collection[str] = ()) -> dict[str, Trigger]:
    """Find the columns that BEFORE triggers surely write.

    Args:
        context: with the functions.
        table: the table.
        event: what fires the triggers.
        given: the columns that are never NULL in a row that is written.

    Returns:
        Column -> the trigger that writes it.
    """
    found: dict[str, Trigger] = {}
    for trigger in _before(table, event):
        if trigger.function.name in _FIRST_ARGUMENT:
            names = _arguments(trigger)[:1]
        else:
            names = _assigned(branches_of(_body(context, trigger), event, given), given)
        for name in names:
            if table.column(name) is not None:
                found.setdefault(name, trigger)
    return found


def instead(context: Context, view: View) -> Iterator[tuple[Trigger, frozenset[str] | None]]:
    """Give the triggers that carry out a view's INSERT, with the columns of the row that each writes back.

    Args:
        context: with the functions.
        view: the view.

    Returns:
        The trigger and its columns; None where it may write any, or cannot be seen through.
    """
    for trigger in view.triggers:
        start = f"CREATE TRIGGER {ident(trigger.name)} INSTEAD OF "
        events = trigger.definition.removeprefix(start).partition(" ON ")[0]
        if trigger.definition.startswith(start) and "INSERT" in events and trigger.enabled != "disabled":
            body = _body(context, trigger)
            yield (
                trigger,
                None if not body or _WHOLE.search(body) else frozenset(_assigned(branches_of(body, "INSERT"))),
            )


def may_write(context: Context, table: Table, column: str, event: Event) -> bool:
    """Tell whether a BEFORE trigger writes a column, or might."""
    for trigger in _before(table, event):
        function = _function(context, trigger)
        if function is None or function.language != "plpgsql" or column in _arguments(trigger):
            return True
        body = _body(context, trigger)
        if _WHOLE.search(body) or re.search(rf"\b{re.escape(column)}\b", body):
            return True
    return False


def _before(table: Table, event: Event) -> Iterator[Trigger]:
    for trigger in table.triggers:
        start = f"CREATE TRIGGER {ident(trigger.name)} BEFORE "
        events = trigger.definition.removeprefix(start).partition(" ON ")[0]
        if trigger.definition.startswith(start) and trigger.row and event in events and trigger.enabled != "disabled":
            yield trigger


def _function(context: Context, trigger: Trigger) -> Function | None:
    return context.functions.get(trigger.function)


def _body(context: Context, trigger: Trigger) -> str:
    function = _function(context, trigger)
    if function is None or function.language != "plpgsql":
        return ""
    return _COMMENT.sub(" ", function.definition)


def _assigned(body: str, given: Collection[str] = ()) -> list[str]:
    """Find the columns that are given another value than they have, or might be."""
    several = [name for names in _INTO.findall(body) for name in re.findall(rf"\bNEW\.{_NAME}", names, re.IGNORECASE)]
    found = list(map(_name, several))
    for first, second, value in _ASSIGNED.findall(body):
        name = _name(first or second)
        kept = re.match(rf"(?:COALESCE\s*\(\s*NEW|OLD)\.{re.escape(first or second)}(?!\w)", value, re.IGNORECASE)
        # OLD puts back what the session has; COALESCE does nothing to what is given.
        if kept is None or (kept[0].upper().startswith("COALESCE") and name not in given):
            found.append(name)
    return found


def _arguments(trigger: Trigger) -> list[str]:
    return re.findall(r"'((?:[^']|'')*)'", trigger.definition.rpartition("(")[2])


def _name(text: str) -> str:
    return text[1:-1].replace('""', '"') if text.startswith('"') else text.lower()
