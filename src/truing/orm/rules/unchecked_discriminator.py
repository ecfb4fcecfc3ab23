"""TR343: a discriminator that takes classes which do not exist."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Enum

from truing.finding import Severity
from truing.names import ident, literal
from truing.orm.context import Context
from truing.orm.enums import dialect_type
from truing.orm.live import (
    has_check_on,
)
from truing.orm.subjects import (
    MappedClass,
)
from truing.rule import Problem, rule


@rule("TR343", "unchecked-discriminator", on=MappedClass, severity=Severity.INFO, since="0.1")
def unchecked_discriminator(subject: MappedClass, context: Context) -> Iterator[Problem]:
    """Find discriminators that take any text.

    ## What it does
    Finds `polymorphic_on` columns that are neither of an enum type nor have a CHECK or a foreign key.

    ## Why is this bad?
    A row with an identity that no class has fails to load, and with it every query of the base class that meets it
    (`No such polymorphic_identity`).

    ## Example
    ```python
    class Party(Base):
        __tablename__ = "parties"
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "party"}

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        kind: Mapped[str]
    ```
    Use instead:
    ```python
    class Party(Base):
        __tablename__ = "parties"
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "party"}

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        kind: Mapped[str] = mapped_column(CheckConstraint("kind IN ('party')"))
    ```
    """
    (column, model), live = context.discriminator(subject), subject.owner.live
    if column is None or model is None or live is None or isinstance(dialect_type(model), Enum):
        return
    type_ = context.types.get(column.type)
    constrained = any(column.name in key.columns for key in live.foreign_keys) or has_check_on(live, column.name)
    if type_ is not None or constrained or column.type == "boolean":
        return
    allowed = ", ".join(literal(str(each)) for each in subject.mapper.polymorphic_map if each is not None)
    yield Problem(
        f"{live.name.sql}.{ident(column.name)} takes any {column.type}; a row with an identity that no class has cannot"
        " be loaded.",
        remedy=f"ALTER TABLE {live.name.sql} ADD CHECK ({ident(column.name)} IN ({allowed})) NOT VALID;",
    )
