"""TR361: objects that refer to each other and that one flush cannot write."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.orm.context import Context
from truing.orm.subjects import LiveForeignKey
from truing.rule import Problem, rule


@rule(
    "TR361",
    "flush-cycle-without-post-update",
    on=LiveForeignKey,
    severity=Severity.INFO,
    since="0.1",
    varies="warning where a delete cascade goes along the circle",
)
def flush_cycle_without_post_update(subject: LiveForeignKey, context: Context) -> Iterator[Problem]:
    """Find circles of relationships without post_update.

    ## What it does
    Finds relationships whose foreign keys form a circle between tables, where of each foreign key at least one
    relationship is not `post_update=True`. Circles of NOT NULL columns are `required-foreign-key-cycle`'s.

    ## Why is this bad?
    SQLAlchemy writes the row that is referred to first, and two rows that refer to each other have no first: where both
    are new, or both are deleted, the flush raises `CircularDependencyError`. With `post_update` the one foreign key is
    written by an UPDATE of its own, after both rows.

    ## Example
    ```python
    class Team(Base):
        __tablename__ = "teams"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        lead_id: Mapped[uuid.UUID | None] = mapped_column(
            ForeignKey("members.id", use_alter=True, name="fk_teams_lead"), index=True
        )
        lead: Mapped["Member | None"] = relationship(foreign_keys=lead_id)


    class Member(Base):
        __tablename__ = "members"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        team_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("teams.id"), index=True)
        team: Mapped[Team] = relationship(foreign_keys=team_id)
    ```
    Use instead:
    ```python
    class Team(Base):
        __tablename__ = "teams"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        lead_id: Mapped[uuid.UUID | None] = mapped_column(
            ForeignKey("members.id", use_alter=True, name="fk_teams_lead"), index=True
        )
        lead: Mapped["Member | None"] = relationship(foreign_keys=lead_id, post_update=True)


    class Member(Base):
        __tablename__ = "members"

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        team_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("teams.id"), index=True)
        team: Mapped[Team] = relationship(foreign_keys=team_id)
    ```
    """
    for keys in context.flush_cycles:
        if keys[0] is not subject:
            continue
        along = [each for key in keys for each in key.relationships]
        # What is part of a NOT NULL key cannot be written later.
        optional = [key for key in keys if not any(map(context.refuses_null, key.relationships))]
        option = "post_update=True)" if optional else "viewonly=True), and set its key after the flush"
        chosen = min(optional or keys, key=lambda key: len(key.relationships))
        yield Problem(
            f"{' and '.join(key.written for key in keys)} form a circle: new objects that refer to each other cannot be"
            " flushed together, nor be deleted together (CircularDependencyError).",
            remedy="\n".join(f"{each.label}: relationship(..., {option}" for each in chosen.relationships),
            severity=Severity.WARNING if any(each.deletes for each in along) else None,
        )
