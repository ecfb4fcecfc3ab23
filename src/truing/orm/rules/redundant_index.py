"""TR355: an index that another one makes useless."""

from __future__ import annotations

from collections.abc import Iterator

from truing.catalog.model import Index
from truing.finding import Severity
from truing.names import QualifiedName
from truing.orm.context import Context
from truing.orm.subjects import (
    MappedTable,
)
from truing.rule import Problem, rule


@rule(
    "TR355",
    "redundant-index",
    on=MappedTable,
    severity=Severity.INFO,
    since="0.1",
    varies="warning where the two are equal",
)
def redundant_index(subject: MappedTable, _context: Context) -> Iterator[Problem]:
    """Find indexes that another index covers.

    ## What it does
    Finds plain btree indexes whose columns another valid index begins with: the same columns twice (`warning`), beside
    a primary key or unique constraint (`warning`), or the beginning of a longer index (`info`: a narrow index may still
    be faster).

    ## Why is this bad?
    Every INSERT, and most UPDATEs, write to both; both are in memory and in every backup.

    ## Example
    ```python
    class Profile(Base):
        __tablename__ = "profiles"
        __table_args__ = (UniqueConstraint("email"), Index(None, "email"))

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        email: Mapped[str]
    ```
    Use instead:
    ```python
    class Profile(Base):
        __tablename__ = "profiles"
        __table_args__ = (UniqueConstraint("email"),)

        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        email: Mapped[str]
    ```
    """
    if subject.live is None:
        return
    plain = [(each, keys) for each in subject.live.indexes if (keys := _keys(each))]
    for index, keys in plain:
        if index.constraint or index.inherited or index.replica_identity or index.clustered:
            continue
        for other, longer in plain:
            if other is index or longer[: len(keys)] != keys or (index.unique and not _as_strict(other, keys, longer)):
                continue
            same = longer == keys
            # Of two equal ones the second by name goes; one that is unique or a constraint's stays.
            if same and not (other.unique and not index.unique) and not other.constraint and other.name > index.name:
                continue
            yield Problem(
                f"{index.name} on {subject.label} ({', '.join(keys)}) is covered by {other.name}"
                f" ({', '.join(longer)}).",
                subject=f"{subject.label}.{index.name}",
                remedy=f"DROP INDEX CONCURRENTLY {QualifiedName(subject.live.name.schema, index.name).sql};",
                severity=Severity.WARNING if same else None,
            )
            break


def _keys(index: Index) -> tuple[str, ...]:
    """The elements of an index that is nothing but columns in their natural order; empty for any other."""
    elements = tuple(index.elements)
    usual = f" USING btree ({', '.join(elements)})"
    after = index.definition.rpartition(usual)[2] if usual in index.definition else None
    special = index.predicate or not index.valid or None in index.columns or index.method != "btree"
    if special or after is None or (after.strip() and not after.startswith(" INCLUDE")):
        return ()
    # INCLUDE makes another index of it, but one that covers.
    return elements if not index.include else (*elements, *(f"INCLUDE {each}" for each in index.include))


def _as_strict(other: Index, keys: tuple[str, ...], longer: tuple[str, ...]) -> bool:
    return other.unique and longer == keys
