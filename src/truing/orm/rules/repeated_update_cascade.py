"""TR309: key changes that the ORM repeats after the database."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.orm.context import Context
from truing.orm.subjects import (
    MappedRelationship,
)
from truing.rule import Problem, rule


@rule("TR309", "repeated-update-cascade", on=MappedRelationship, severity=Severity.INFO, since="0.1")
def repeated_update_cascade(subject: MappedRelationship, _context: Context) -> Iterator[Problem]:
    """Find relationships that update what the database has updated.

    ## What it does
    Finds `passive_updates=False` over a foreign key with `ON UPDATE CASCADE`.

    ## Why is this bad?
    When a parent's key changes, SQLAlchemy loads all children to write the new key into each, after the database has
    done the same.

    ## Example
    ```python
    class Country(Base):
        __tablename__ = "countries"

        code: Mapped[str] = mapped_column(primary_key=True)
        cities: Mapped[list["City"]] = relationship(back_populates="country", passive_updates=False)


    class City(Base):
        __tablename__ = "cities"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        country_code: Mapped[str | None] = mapped_column(ForeignKey("countries.code", onupdate="CASCADE"), index=True)
        country: Mapped[Country | None] = relationship(back_populates="cities")
    ```
    Use instead:
    ```python
    class Country(Base):
        __tablename__ = "countries"

        code: Mapped[str] = mapped_column(primary_key=True)
        cities: Mapped[list["City"]] = relationship(back_populates="country")


    class City(Base):
        __tablename__ = "cities"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        country_code: Mapped[str | None] = mapped_column(ForeignKey("countries.code", onupdate="CASCADE"), index=True)
        country: Mapped[Country | None] = relationship(back_populates="cities")
    ```
    """
    if subject.key is None or subject.key.on_update != "CASCADE" or subject.relationship.passive_updates:
        return
    yield Problem(
        f"when the key of {subject.a_parent} changes, SQLAlchemy updates {subject.label} row by row after the database"
        f" has done so (ON UPDATE CASCADE of {subject.key.name}).",
        remedy=f"{subject.relationship.key} = relationship(...) without passive_updates=False",
    )
