"""TR342: a class whose rows the database refuses."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Enum

from truing.finding import Severity
from truing.names import ident, literal
from truing.orm.context import Context
from truing.orm.enums import dialect_type
from truing.orm.live import (
    allowed_values,
    longest,
)
from truing.orm.subjects import (
    MappedClass,
)
from truing.rule import Problem, rule


@rule("TR342", "unstorable-polymorphic-identity", on=MappedClass, severity=Severity.ERROR, since="0.1")
def unstorable_polymorphic_identity(subject: MappedClass, context: Context) -> Iterator[Problem]:
    """Find classes whose identity the discriminator cannot hold.

    ## What it does
    Finds `polymorphic_identity` values that are no label of the discriminator's enum, not allowed by its CHECK, or
    longer than its `varchar(n)`.

    ## Why is this bad?
    Every INSERT of the class fails.

    ## Example
    ```python
    class Party(Base):
        __tablename__ = "parties"
        __mapper_args__ = {"polymorphic_on": "kind"}

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        kind: Mapped[str] = mapped_column(CheckConstraint("kind IN ('person', 'firm')"))


    class Person(Party):
        __mapper_args__ = {"polymorphic_identity": "person"}


    class Company(Party):
        __mapper_args__ = {"polymorphic_identity": "company"}
    ```
    Use instead:
    ```python
    class Party(Base):
        __tablename__ = "parties"
        __mapper_args__ = {"polymorphic_on": "kind"}

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        kind: Mapped[str] = mapped_column(CheckConstraint("kind IN ('person', 'company')"))


    class Person(Party):
        __mapper_args__ = {"polymorphic_identity": "person"}


    class Company(Party):
        __mapper_args__ = {"polymorphic_identity": "company"}
    ```
    """
    (column, model), live = context.discriminator(subject), subject.owner.live
    if column is None or model is None or live is None or isinstance(dialect_type(model), Enum):
        return
    type_ = context.types.get(context.type_of(column.type))
    labels = type_.labels if type_ is not None and type_.kind == "enum" else allowed_values(live, column.name)
    limit = longest(context.type_of(column.type))
    for identity, mapper in subject.mapper.polymorphic_map.items():
        if not isinstance(identity, str) or type(identity) is not str:
            continue
        if (labels is None or identity in labels) and (limit is None or len(identity) <= limit):
            continue
        yield Problem(
            f"no {context.class_names[mapper]} can be inserted: {live.name.sql}.{ident(column.name)} does not take"
            f" {identity!r}.",
            subject=f"{context.class_names[mapper]}.{column.name}",
            remedy=f"let the type or CHECK of {live.name.sql}.{ident(column.name)} allow {literal(identity)}",
        )
