"""How are triggers carried that fire on UPDATE OF the column or look at it in WHEN? The swap makes them anew."""

from __future__ import annotations

from truing.catalog.model import Trigger
from truing.names import ident
from truing.online.carry import statements
from truing.online.carry.model import Carried, Part
from truing.online.carry.target import Target, comment_on

_STATE = {"disabled": "DISABLE", "replica": "ENABLE REPLICA", "always": "ENABLE ALWAYS"}


def carry_trigger(target: Target, trigger: Trigger) -> Part:
    """Carry a trigger of the table; it keeps its name and so its place among the others."""
    name = ident(trigger.name)
    drop = f"DROP TRIGGER {name} ON {target.table.sql}"
    state = _STATE.get(trigger.enabled)
    about = (
        *((target.alter(f"{state} TRIGGER {name}"),) if state else ()),
        *comment_on(f"TRIGGER {name} ON {target.table.sql}", trigger.comment),
    )
    definition = new_definition(target, trigger)
    return Part(
        swap=(drop, definition, *about),
        unswap=(drop, trigger.definition, *about),
        carried=(Carried("trigger", f"{name} on {target.table.sql}", "made anew in the swap", definition),),
    )


def new_definition(target: Target, trigger: Trigger) -> str:
    """Return how the trigger is defined after the swap."""
    return statements.trigger(target.after(), trigger.definition, target.table)
