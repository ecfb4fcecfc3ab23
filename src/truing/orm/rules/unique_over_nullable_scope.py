"""TR346: a unique key that one NULL switches off."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.names import ident, idents
from truing.orm.context import Context
from truing.orm.live import (
    is_not_null,
)
from truing.orm.subjects import (
    MappedTable,
)
from truing.rule import Problem, rule


@rule("TR346", "unique-over-nullable-scope", on=MappedTable, severity=Severity.WARNING, since="0.1")
def unique_over_nullable_scope(subject: MappedTable, context: Context) -> Iterator[Problem]:
    """Find unique keys within a scope that may be NULL.

    ## What it does
    Finds unique constraints and indexes over several columns of which one is a foreign key (or the tenant column) that
    may be NULL, without `NULLS NOT DISTINCT`.

    ## Why is this bad?
    NULL differs from NULL: among the rows without a parent (the roots of a tree, what belongs to no tenant) nothing is
    unique.

    ## Example
    ```python
    class Folder(Base):
        __tablename__ = "folders"
        __table_args__ = (UniqueConstraint("parent_id", "name"),)

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        parent_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("folders.id"))
        name: Mapped[str]
    ```
    Use instead:
    ```python
    class Folder(Base):
        __tablename__ = "folders"
        __table_args__ = (
            UniqueConstraint("parent_id", "name"),
            Index("folders_root_name", "name", unique=True, postgresql_where=text("parent_id IS NULL")),
        )

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        parent_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("folders.id"))
        name: Mapped[str]
    ```

    ## When it is quiet
    A nullable column that is no reference (an optional number, unique where it is given) is meant as it is.
    """
    live = subject.live
    if live is None:
        return
    scopes = {name for key in live.foreign_keys for name in key.columns} | {context.config.tenant_column}
    partial = [each.predicate for each in live.indexes if each.unique and each.predicate]
    for index in live.indexes:
        names = [each for each in index.columns if each is not None]
        if not index.unique or index.nulls_not_distinct or index.predicate or len(index.columns) == 1:
            continue
        # Where every column is a reference, the row is a link; without one of its ends it links nothing.
        if len(names) == len(index.columns) and set(names) <= scopes:
            continue
        for name in names:
            column = live.column(name)
            if column is None or name not in scopes or is_not_null(context.types, live, column):
                continue
            if any(f"{ident(name)} IS NULL" in each for each in partial):
                continue
            others = [each for each in names if each != name]
            yield Problem(
                f"{', '.join(map(subject.column_name, names))} ({index.name}) is not unique among the rows whose"
                f" {subject.column_name(name)} is NULL.",
                subject=f"{subject.label}.{index.name}",
                remedy=f"CREATE UNIQUE INDEX CONCURRENTLY ON {live.name.sql} ({idents(others)})"
                f" WHERE {ident(name)} IS NULL;\nor, from PostgreSQL 15 on: UNIQUE NULLS NOT DISTINCT",
            )
