"""How is a remedy written that blocks nobody? An online operation's name goes in, its line in a revision comes out."""

from __future__ import annotations

from truing.names import QualifiedName


def online(operation: str, table: QualifiedName, *arguments: object, **options: object) -> str:
    """Write a call of an online operation, ready to paste into ``upgrade()``.

    Args:
        operation: its name, without ``op.``.
        table: the table, its first argument.
        arguments: those that follow.
        options: those with names; the schema is added where it is not the usual one.
    """
    if table.schema != "public":
        options |= {"schema": table.schema}
    words = [*map(repr, (table.name, *arguments)), *(f"{name}={value!r}" for name, value in options.items())]
    return f"op.{operation}({', '.join(words)})"
