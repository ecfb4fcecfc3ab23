"""TR354: rows that need each other before either is there."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.names import QualifiedName, ident
from truing.orm.context import Context
from truing.orm.live import (
    is_not_null,
)
from truing.orm.subjects import (
    LiveForeignKey,
    Models,
)
from truing.rule import Problem, rule


@rule("TR354", "required-foreign-key-cycle", on=Models, severity=Severity.ERROR, since="0.1")
def required_foreign_key_cycle(_subject: Models, context: Context) -> Iterator[Problem]:
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
    edges: dict[QualifiedName, dict[QualifiedName, LiveForeignKey]] = {}
    for each in context.foreign_keys:
        columns = [column for name in each.key.columns if (column := each.table.column(name)) is not None]
        required = all(is_not_null(context.types, each.table, column) for column in columns)
        target = each.key.references
        # A row may refer to itself: the key is checked when the statement has ended.
        if required and not each.key.deferrable and each.key.enforced and target and target != each.table.name:
            edges.setdefault(each.table.name, {}).setdefault(target, each)
    for cycle in _cycles(edges):
        keys = [edges[one][other] for one, other in zip(cycle, (*cycle[1:], cycle[0]), strict=True)]
        first = keys[0]
        yield Problem(
            "no first row can ever be inserted: "
            + ", ".join(f"{key.written} needs {key.target}" for key in keys)
            + ".",
            subject=first.label,
            location=first.place.location if first.place else None,
            remedy=f"ALTER TABLE {first.table.name.sql} ALTER CONSTRAINT {ident(first.key.name)} DEFERRABLE INITIALLY"
            " DEFERRED;",
        )


def _cycles(edges: dict[QualifiedName, dict[QualifiedName, LiveForeignKey]]) -> Iterator[tuple[QualifiedName, ...]]:
    """Give a shortest cycle through each table that is in one; every cycle once, from its first table by name."""
    seen: set[frozenset[QualifiedName]] = set()
    for start in sorted(edges):
        paths: list[tuple[QualifiedName, ...]] = [(start,)]
        visited = {start}
        while paths:
            path = paths.pop(0)
            following = sorted(edges.get(path[-1], ()))
            if start in following:
                if frozenset(path) not in seen:
                    seen.add(frozenset(path))
                    yield path
                break
            paths += [(*path, each) for each in following if each not in visited]
            visited.update(following)
