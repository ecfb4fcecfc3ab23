"""TR363: keys that the session would pass on, and the database does not let it."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.names import ident, idents
from truing.orm.context import Context
from truing.orm.subjects import MappedRelationship
from truing.rule import Problem, rule


@rule("TR363", "session-only-update-cascade", on=MappedRelationship, severity=Severity.ERROR, since="0.1")
def session_only_update_cascade(subject: MappedRelationship, _context: Context) -> Iterator[Problem]:
    """Find passive_updates=False over a foreign key that is checked at once.

    ## What it does
    Finds relationships with `passive_updates=False` over a foreign key that is neither `ON UPDATE CASCADE` nor
    `INITIALLY DEFERRED`.

    ## Why is this bad?
    SQLAlchemy writes the parent's new key first, and the children's after it. PostgreSQL checks the foreign key after
    each statement: changing the key of a parent that has children always fails.

    ## Example
    ```python
    class Country(Base):
        __tablename__ = "countries"

        code: Mapped[str] = mapped_column(primary_key=True)
        cities: Mapped[list["City"]] = relationship(back_populates="country", passive_updates=False)


    class City(Base):
        __tablename__ = "cities"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        country_code: Mapped[str | None] = mapped_column(ForeignKey("countries.code"), index=True)
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
    key, owner, parent = subject.key, subject.referring, subject.referenced
    if key is None or owner is None or parent is None or subject.relationship.passive_updates:
        return
    if not subject.is_one_to_many or key.on_update == "CASCADE" or key.initially_deferred or not key.enforced:
        return
    yield Problem(
        f"changing the key of {subject.a_parent} that has {subject.relationship.key} fails: passive_updates=False"
        f" writes {subject.written} afterwards, and {key.name} is ON UPDATE {key.on_update}.",
        remedy=f"ALTER TABLE {owner.name.sql} DROP CONSTRAINT {ident(key.name)}, ADD CONSTRAINT {ident(key.name)}"
        f" FOREIGN KEY ({idents(key.columns)}) REFERENCES {parent.name.sql} ({idents(key.referenced_columns)})"
        f" ON DELETE {key.on_delete} ON UPDATE CASCADE;\n"
        f"{subject.relationship.key} = relationship(...) without passive_updates=False",
    )
