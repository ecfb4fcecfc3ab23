"""TR359: something that SQLAlchemy itself warns of."""

from __future__ import annotations

import re
from collections.abc import Iterator

from truing.finding import Severity
from truing.orm.context import Context
from truing.orm.subjects import (
    MapperWarning,
)
from truing.rule import Problem, rule


@rule("TR359", "mapper-warning", on=MapperWarning, severity=Severity.WARNING, since="0.1")
def mapper_warning(subject: MapperWarning, _context: Context) -> Iterator[Problem]:
    """Find what SQLAlchemy warns of while it configures the mappers.

    ## What it does
    Finds the warnings (`SAWarning`) that SQLAlchemy gives while the models are imported and configured: relationships
    that write the same column, attributes that hide those of a parent, classes of the same name.

    ## Why is this bad?
    They go to the log of a process that starts, once, where nobody reads them. Each says that some write will not do
    what its author thinks.

    ## Example
    ```python
    class Tenant(Base):
        __tablename__ = "tenants"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)


    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        tenant_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("tenants.id"), index=True)
        tenant: Mapped[Tenant | None] = relationship()
        owner: Mapped[Tenant | None] = relationship()
    ```
    Use instead:
    ```python
    class Tenant(Base):
        __tablename__ = "tenants"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)


    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        tenant_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("tenants.id"), index=True)
        tenant: Mapped[Tenant | None] = relationship()
        owner: Mapped[Tenant | None] = relationship(viewonly=True)
    ```
    """
    if not subject.mirrored:
        text, _, background = subject.text.partition(" (Background on this ")
        advice = re.search(r"add the parameter '[^']*' to the '[^']*' relationship", text)
        yield Problem(
            " ".join(text.split()),
            remedy=advice[0] if advice else "see " + (background.rpartition(" at: ")[2].rstrip(")") or "the message"),
        )
