"""TR315: a key of several columns that one NULL switches off."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.names import ident, idents
from truing.orm.context import Context
from truing.orm.live import (
    is_not_null,
)
from truing.orm.subjects import (
    LiveForeignKey,
)
from truing.rule import Problem, rule


@rule("TR315", "partly-nullable-foreign-key", on=LiveForeignKey, severity=Severity.WARNING, since="0.1")
def partly_nullable_foreign_key(subject: LiveForeignKey, context: Context) -> Iterator[Problem]:
    """Find composite foreign keys that a single NULL switches off.

    ## What it does
    Finds foreign keys over several columns (`MATCH SIMPLE`) where some columns may be NULL while others are not: two or
    more nullable columns, or a nullable column that belongs to another foreign key as well, such as the tenant's.

    ## Why is this bad?
    With `MATCH SIMPLE`, one NULL among the columns and nothing is checked: the row may point at a parent that does not
    exist.

    ## Example
    ```python
    class Role(Base):
        __tablename__ = "roles"

        org_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(primary_key=True)


    class Grant(Base):
        __tablename__ = "grants"
        __table_args__ = (
            ForeignKeyConstraint(["org_id", "role_name"], ["roles.org_id", "roles.name"]),
            Index(None, "org_id", "role_name"),
        )

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        org_id: Mapped[uuid.UUID | None]
        role_name: Mapped[str | None]
    ```
    Use instead:
    ```python
    class Role(Base):
        __tablename__ = "roles"

        org_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(primary_key=True)


    class Grant(Base):
        __tablename__ = "grants"
        __table_args__ = (
            ForeignKeyConstraint(["org_id", "role_name"], ["roles.org_id", "roles.name"], match="FULL"),
            Index(None, "org_id", "role_name"),
        )

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        org_id: Mapped[uuid.UUID | None]
        role_name: Mapped[str | None]
    ```

    ## When it is quiet
    Where one column alone says whether there is a reference and the others are NOT NULL, and where a CHECK looks at all
    of the nullable columns.
    """
    key, table = subject.key, subject.table
    if len(key.columns) == 1 or key.match_full:
        return
    columns = [column for name in key.columns if (column := table.column(name)) is not None]
    nullable = [column.name for column in columns if not is_not_null(context.types, table, column)]
    shared = {name for other in table.foreign_keys if other is not key for name in other.columns}
    if len(nullable) == 1:
        rest = set(key.columns) - set(nullable)
        if nullable[0] not in shared or rest & shared:
            return
    elif not nullable or any(each.kind == "check" and set(nullable) <= set(each.columns) for each in table.constraints):
        return
    names = " or ".join(map(subject.owner.column_name, nullable))
    drop = f"ALTER TABLE {table.name.sql} DROP CONSTRAINT {ident(key.name)}, ADD CONSTRAINT {ident(key.name)}"
    yield Problem(
        f"{key.name} of {table.name.sql} checks nothing for rows where {names} is NULL: they may point at a row of"
        f" {subject.target} that does not exist.",
        remedy=f"{drop} FOREIGN KEY ({idents(key.columns)}) REFERENCES {subject.target}"
        f" ({idents(key.referenced_columns)}) MATCH FULL ON DELETE {key.on_delete};",
    )
