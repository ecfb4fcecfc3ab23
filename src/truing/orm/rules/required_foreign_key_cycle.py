"""TR354: rows that need each other before either is there."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.names import ident
from truing.orm.context import Context
from truing.orm.subjects import LiveForeignKey
from truing.rule import Problem, rule


@rule("TR354", "required-foreign-key-cycle", on=LiveForeignKey, severity=Severity.ERROR, since="0.1")
def required_foreign_key_cycle(subject: LiveForeignKey, context: Context) -> Iterator[Problem]:
    """Find cycles of required foreign keys.

    ## What it does
    Finds tables whose NOT NULL foreign keys form a circle, none of which is DEFERRABLE.

    ## Why is this bad?
    The first row can never be inserted: each needs the other to be there before.

    ## Example
    ```python
    class Team(Base):
        __tablename__ = "teams"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        lead_id: Mapped[uuid.UUID] = mapped_column(
            ForeignKey("members.id", use_alter=True, name="fk_teams_lead"), index=True
        )


    class Member(Base):
        __tablename__ = "members"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        team_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("teams.id"), index=True)
    ```
    Use instead:
    ```python
    class Team(Base):
        __tablename__ = "teams"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        lead_id: Mapped[uuid.UUID | None] = mapped_column(
            ForeignKey("members.id", use_alter=True, name="fk_teams_lead"), index=True
        )


    class Member(Base):
        __tablename__ = "members"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        team_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("teams.id"), index=True)
    ```
    """
    for keys in context.required_cycles:
        if keys[0] is not subject:
            continue
        needs = ", ".join(f"{key.written} needs {key.target}" for key in keys)
        yield Problem(
            f"no first row can ever be inserted: {needs}.",
            remedy=f"ALTER TABLE {subject.table.name.sql} ALTER CONSTRAINT {ident(subject.key.name)} DEFERRABLE"
            " INITIALLY DEFERRED;",
        )
