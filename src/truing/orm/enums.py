"""Which values may an enum have, by the model and by the database? A mapped column in; both lists out."""

from __future__ import annotations

import enum
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import ARRAY, Column, Enum
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from truing.orm.context import Context
from truing.orm.live import allowed_values
from truing.orm.subjects import MappedColumn


class Labels(msgspec.Struct, frozen=True):
    """The values of an enum.

    Attributes:
        model: as SQLAlchemy writes them.
        live: as the database takes them.
        type: the enum type there; empty where a CHECK says it.
        swapped: whether the model writes its members' names and the database has their values.
    """

    model: tuple[str, ...]
    live: tuple[str, ...]
    type: str = ""
    swapped: bool = False

    @classmethod
    def of(cls, context: Context, subject: MappedColumn) -> Labels | None:
        """Compare the values of a column; None where it is no enum, or the database takes anything."""
        type_ = dialect_type(subject.column)
        if isinstance(type_, ARRAY):
            type_ = type_.item_type
        live, table = subject.live, subject.owner.live
        if not isinstance(type_, Enum) or live is None or table is None:
            return None
        printed = context.type_of(live.type.removesuffix("[]"))
        found = context.types.get(printed)
        native = found is not None and found.kind == "enum"
        labels = found.labels if found is not None and native else allowed_values(table, live.name)
        if labels is None:
            return None
        model = tuple(map(str, type_.enums))
        return cls(model, labels, printed if native else "", _swapped(type_.enum_class, model, labels))


def _swapped(enum_class: type[Any] | None, model: tuple[str, ...], live: tuple[str, ...]) -> bool:
    if enum_class is None or not issubclass(enum_class, enum.Enum):
        return False
    names = {str(member.name) for member in enum_class}
    values = {str(member.value) for member in enum_class}
    return set(model) == names != values and values <= set(live) and not names & set(live)


def dialect_type(column: Column[Any]) -> TypeEngine[Any]:
    """Return the type that a column has on PostgreSQL, below any decorator."""
    type_ = _variant(column.type)
    while isinstance(type_, TypeDecorator):
        type_ = _variant(type_.load_dialect_impl(_dialect()))
    return type_


def _variant(type_: TypeEngine[Any]) -> TypeEngine[Any]:
    return type_._variant_mapping.get("postgresql", type_)  # noqa: SLF001 - with_variant() has no public way back


@cache
def _dialect() -> Dialect:
    return postgresql.dialect()  # type: ignore[no-untyped-call]
