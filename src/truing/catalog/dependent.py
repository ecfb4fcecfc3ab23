"""What hangs on a column? The types of the answer; ``dependents.py`` finds it."""

from __future__ import annotations

from typing import Literal, TypeAlias

from truing.catalog.model import (
    CatalogValue,
    Column,
    Constraint,
    Function,
    Grant,
    Index,
    Policy,
    PublishedTable,
    Rule,
    Sequence,
    Statistic,
    Trigger,
    View,
)
from truing.names import QualifiedName

DependentKind: TypeAlias = Literal[
    "primary-key",
    "unique",
    "exclusion",
    "check",
    "not-null",
    "foreign-key-out",
    "foreign-key-in",
    "index",
    "default",
    "sequence",
    "generated-column",
    "view",
    "materialized-view",
    "rule",
    "policy",
    "trigger",
    "statistics",
    "publication",
    "function-atomic",
    "function-row-type",
    "function-text",
    "row-type",
    "partition-key",
    "parent-table",
    "child-table",
    "column-grant",
    "column-setting",
    "comment",
    "security-label",
    "other",
]
"""How a dependent hangs on a column; :class:`Dependent` says what each one's fields hold."""

Detail: TypeAlias = (
    Constraint
    | Index
    | Column
    | Sequence
    | View
    | Rule
    | Policy
    | Trigger
    | Statistic
    | PublishedTable
    | Function
    | Grant
)


class Dependent(CatalogValue, frozen=True):
    """One thing that hangs on a column, exact enough to be made again.

    ===================== ============ ==================================================== ====================
    kind                  table        definition                                           detail
    ===================== ============ ==================================================== ====================
    primary-key, unique,
    exclusion, check,     the table    ``pg_get_constraintdef``                             Constraint (and
    not-null (18)                                                                           ``index``)
    foreign-key-out       the table    ``pg_get_constraintdef``                             Constraint
    foreign-key-in        the *child*  ``pg_get_constraintdef``                             Constraint
    index                 the table    ``pg_get_indexdef``                                  Index
    default               the table    the expression                                       Column
    sequence              the table    empty (owned by, or identity of, the column)         Sequence
    generated-column      the table    the expression of the *other* column ``name``        Column (the other)
    view,
    materialized-view     None         ``pg_get_viewdef``                                   View
    rule                  its relation ``pg_get_ruledef``                                   Rule
    policy                its table    USING and WITH CHECK, for reading                    Policy
    trigger               the table    ``pg_get_triggerdef``                                Trigger
    statistics            the table    ``pg_get_statisticsobjdef``                          Statistic
    publication           the table    column list and row filter, for reading              PublishedTable
    function-atomic       None         ``pg_get_functiondef``                               Function
    function-row-type     None         ``pg_get_functiondef`` (uses the row type of a view) Function
    function-text         None         ``pg_get_functiondef`` (its text names the column)   Function
    row-type              the user     type of the column ``name`` that holds whole rows    Column
    partition-key         the table    ``pg_get_partkeydef``                                None
    parent-table,
    child-table           the relative empty; ``name`` is the relative's name               None
    column-grant          the table    the GRANT statement                                  Grant
    column-setting        the table    the ALTER TABLE statement that sets it               Column
    comment               the table    the comment itself                                   Column
    security-label        the table    the label; ``name`` is the provider                  None
    other                 None         empty                                                None
    ===================== ============ ==================================================== ====================

    Attributes:
        kind: how it hangs on the column.
        schema: the schema that the object itself is in; None where it is in none (a publication).
        table: the relation that it belongs to, see above.
        name: its own name; for a property of the column, the column's name.
        definition: see above.
        description: for a person, as ``pg_describe_object`` says it (with qualified names) where there is an object.
        depth: 0 when it depends on the column itself; 1 more than the deepest view through which it does.
        via: the views through which it depends on the column (those one step before it), sorted; a view may be
            here and depend on the column directly as well.
        detail: the whole object.
        index: the index behind a primary-key, unique or exclusion constraint.
        arguments: identity arguments of a function.
    """

    kind: DependentKind
    name: str
    schema: str | None = None
    table: QualifiedName | None = None
    definition: str = ""
    description: str = ""
    depth: int = 0
    via: tuple[QualifiedName, ...] = ()
    detail: Detail | None = None
    index: Index | None = None
    arguments: str = ""

    @property
    def qualified(self) -> QualifiedName | None:
        """The object's own qualified name, where it has one."""
        return QualifiedName(self.schema, self.name) if self.schema is not None else None
