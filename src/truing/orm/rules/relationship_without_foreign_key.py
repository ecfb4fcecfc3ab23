"""TR310: a relationship over columns that no foreign key holds together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy.orm import RelationshipProperty

from truing.finding import Severity
from truing.names import QualifiedName
from truing.orm.context import Context
from truing.orm.remedies import online
from truing.orm.subjects import (
    MappedRelationship,
)
from truing.rule import Problem, rule


@rule(
    "TR310",
    "relationship-without-foreign-key",
    on=MappedRelationship,
    severity=Severity.WARNING,
    since="0.1",
    varies="error where the model has the foreign key",
)
def relationship_without_foreign_key(subject: MappedRelationship, context: Context) -> Iterator[Problem]:
    """Find relationships whose foreign key is not in the database.

    ## What it does
    Finds relationships over columns that no foreign key of the database holds together.

    ## Why is this bad?
    Nothing keeps children from outliving their parent, or from being inserted with a parent that never was. The
    relationship then gives None where the annotation promises an object, and joins lose rows.

    ## Example
    ```python
    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)


    class UserRole(Base):
        __tablename__ = "user_roles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("profiles.id"), index=True)
        profile: Mapped[Profile] = relationship()


    op.execute("ALTER TABLE user_roles DROP CONSTRAINT user_roles_user_id_fkey")
    ```
    Use instead:
    ```python
    class Profile(Base):
        __tablename__ = "profiles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)


    class UserRole(Base):
        __tablename__ = "user_roles"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("profiles.id"), index=True)
        profile: Mapped[Profile] = relationship()
    ```

    ## When it is quiet
    Where no foreign key is possible (views, foreign tables, joins with further conditions such as a type column), and
    on the second of two relationships that are each other's other side.
    """
    reverse = subject.relationship._reverse_property  # noqa: SLF001 - there is no public way to ask
    if subject.is_one_to_many and any(not each.viewonly for each in reverse):
        return
    sides = [subject.pairs, subject.secondary_pairs] if subject.is_many_to_many else [subject.pairs]
    if subject.is_many_to_many and any(_first(each, subject) for each in reverse):
        sides = []
    for pairs in sides:
        if not pairs or context.key_of(pairs) is not None or not context.can_have_key(pairs):
            continue
        if subject.has_other_conditions and not subject.is_many_to_many:
            continue
        referring, referenced = context.tables[pairs[0][1].table], context.tables[pairs[0][0].table]
        columns, targets = (tuple(str(pair[n].name) for pair in pairs) for n in (1, 0))
        declared = all(any(key.references(to.table) for key in by.foreign_keys) for to, by in pairs)
        told = "the model has a ForeignKey, the database has none" if declared else "the database has no foreign key"
        names = ", ".join(map(referring.column_name, columns))
        yield Problem(
            f"{subject.label} relies on {names} pointing at a row of {referenced.name.sql}, but {told}: rows may point"
            " at nothing.",
            remedy=_remedy(referring.name, columns, referenced.name, targets),
            severity=Severity.ERROR if declared else None,
        )


def _remedy(table: QualifiedName, columns: tuple[str, ...], referenced: QualifiedName, targets: tuple[str, ...]) -> str:
    elsewhere = {} if referenced.schema == table.schema else {"referent_schema": referenced.schema}
    return online("add_foreign_key_online", table, list(columns), referenced.name, list(targets), **elsewhere)


def _first(other: RelationshipProperty[Any], subject: MappedRelationship) -> bool:
    """Tell whether the other side is the one to speak of: in each run the same."""
    one, two = ((each.parent.class_, each.key) for each in (other, subject.relationship))
    return (one[0].__module__, one[0].__qualname__, one[1]) < (two[0].__module__, two[0].__qualname__, two[1])
