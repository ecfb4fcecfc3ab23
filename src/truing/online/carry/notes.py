"""What should a person know that carrying cannot settle? Dependents go in, sentences come out."""

from __future__ import annotations

from truing.catalog.dependent import Dependent
from truing.names import ident
from truing.online.carry.refusals import subject_of
from truing.online.carry.target import Target


def notes(target: Target, dependents: tuple[Dependent, ...]) -> tuple[str, ...]:
    """Return what a person should look at before the swap."""
    column, new_type = ident(target.column), target.changed.new_type
    moved = f"{column} becomes the last column of {target.table.sql}"
    said = [f"{moved}: INSERT without a list of columns, SELECT * and rows taken whole see another order"]
    said += [
        f"{subject_of(dependent)} names {column} in its text, which nothing rewrites: see that it works when the column"
        f" is {new_type}"
        for dependent in dependents
        if dependent.kind == "function-text"
    ]
    said += [
        f"{dependent.table.sql if dependent.table else ''}.{ident(dependent.name)} holds whole rows of"
        f" {target.table.sql}; those already stored keep the old column's value, and have no other"
        for dependent in dependents
        if dependent.kind == "row-type"
    ]
    return tuple(dict.fromkeys(said))
