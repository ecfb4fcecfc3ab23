"""TR301: a mapper's primary key that the database does not keep unique."""

from __future__ import annotations

from collections.abc import Iterator

from truing.finding import Severity
from truing.names import idents
from truing.orm.context import Context
from truing.orm.live import (
    is_unique,
)
from truing.orm.subjects import (
    MappedClass,
)
from truing.rule import Problem, rule


@rule("TR301", "non-unique-mapper-key", on=MappedClass, severity=Severity.ERROR, since="0.1")
def non_unique_mapper_key(subject: MappedClass, _context: Context) -> Iterator[Problem]:
    """Find mappers whose identity the database does not guarantee.

    ## What it does
    Finds mapped classes whose primary key has no primary key, unique constraint or unique index behind it in the
    database.

    ## Why is this bad?
    A session keeps one object for each primary key. Two rows with the same key become one object: the second row is
    never seen, and an UPDATE or DELETE of the object hits both rows.

    ## Example
    ```python
    class Invoice(Base):
        __tablename__ = "invoices"

        number: Mapped[str] = mapped_column(primary_key=True)


    op.execute("ALTER TABLE invoices DROP CONSTRAINT invoices_pkey")
    ```
    Use instead:
    ```python
    class Invoice(Base):
        __tablename__ = "invoices"

        number: Mapped[str] = mapped_column(primary_key=True)
    ```
    """
    owner, mapper = subject.owner, subject.mapper
    keys = owner.table.primary_key.columns if mapper.inherits else mapper.primary_key
    relation = owner.live or (owner.view if owner.view and owner.view.materialized else None)
    names = tuple(str(column.name) for column in keys if column.table is owner.table)
    if relation is None or not names or len(names) != len(keys) or not subject.has_own_table:
        return
    if owner.live and (owner.live.kind == "foreign-table" or owner.live.partition_key):
        return
    if is_unique(relation, names):
        return
    add = "CREATE UNIQUE INDEX ON" if owner.live is None else "ALTER TABLE"
    how = f" ({idents(names)});" if owner.live is None else f" ADD PRIMARY KEY ({idents(names)});"
    yield Problem(
        f"{subject.name} is identified by {', '.join(names)}, but nothing in the database keeps that unique: two rows"
        " with the same value become one object.",
        remedy=f"{add} {owner.name.sql}{how}",
    )
