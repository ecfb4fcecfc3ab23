"""TR362: an enum whose type is not the column's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlalchemy import ARRAY, Enum

from truing.finding import Severity
from truing.names import QualifiedName, ident
from truing.orm.context import Context
from truing.orm.enums import dialect_type
from truing.orm.subjects import (
    MappedColumn,
)
from truing.rule import Problem, rule

_STRINGS: Final = frozenset({"text", "character varying", "character", "name"})


@rule("TR362", "mismatched-enum-type", on=MappedColumn, severity=Severity.WARNING, since="0.1")
def mismatched_enum_type(subject: MappedColumn, context: Context) -> Iterator[Problem]:
    """Find enums that name another type than the column has.

    ## What it does
    Finds `Enum` columns (`native_enum=True`, the default) whose type in the database has another name, is in another
    schema than the search path, or is no enum at all.

    ## Why is this bad?
    Drivers that send the type with a value (asyncpg) fail at every INSERT and at every query that compares the column
    (`type "..." does not exist`); others (psycopg) do not notice. Where the column is text and the type exists, an
    INSERT works, and a comparison fails (`operator does not exist`).

    ## Example
    ```python
    class Order(Base):
        __tablename__ = "orders"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        state: Mapped[str] = mapped_column(Enum("open", "paid", name="order_state"))


    op.execute("ALTER TYPE order_state RENAME TO state_of_order")
    ```
    Use instead:
    ```python
    class Order(Base):
        __tablename__ = "orders"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        state: Mapped[str] = mapped_column(Enum("open", "paid", name="state_of_order"))
    ```
    """
    type_, live = dialect_type(subject.column), subject.live
    if isinstance(type_, ARRAY):
        type_ = type_.item_type
    if not isinstance(type_, Enum) or not type_.native_enum or not type_.name or live is None:
        return
    path = context.schemas_of(str(type_.schema) if type_.schema else None)
    named = [QualifiedName(schema, str(type_.name)) for schema in path]
    printed = context.type_of(live.type.removesuffix("[]"))
    if printed in [each.sql for each in named] or subject.owner.live is None:
        return
    called = ident(type_.name) if not type_.schema else named[0].sql
    there = context.types.get(printed)
    schema = f", schema={there.name.schema!r}" if there and there.name.schema not in path else ""
    # PostgreSQL turns an enum into text where it is stored, not where it is compared.
    stored = printed.partition("(")[0] in _STRINGS and any(each.sql in context.types for each in named)
    fails = "every comparison fails" if stored else "every INSERT and every comparison fails"
    yield Problem(
        f"{subject.label} is the enum {called}, but {subject.path} is {live.type}: with asyncpg {fails}.",
        remedy=f"Enum(..., name={there.name.name!r}{schema})" if there else "Enum(..., native_enum=False)",
    )
