"""Which statements does a piece of Alembic code emit, and from which line? Alembic is made to report instead of print.

For use in the child process only: it changes Alembic's classes for as long as the process lives.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from alembic.operations import MigrateOperation, Operations
from alembic.operations.base import AbstractOperations
from alembic.operations.batch import BatchOperationsImpl
from alembic.operations.ops import ExecuteSQLOp
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import psycopg
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import DDLElement

from truing.changes import AnyChange, OtherStatement
from truing.errors import SqlSyntaxError
from truing.finding import Location
from truing.names import QualifiedName
from truing.revisions.failure import same_file
from truing.revisions.literals import Literals
from truing.revisions.record import RecordedStatement
from truing.sql.lower import lower
from truing.sql.parse import parse

# "named" leaves percent signs alone; a value that cannot be written as a literal becomes $1, which PostgreSQL can read.
_LITERAL = psycopg.dialect(paramstyle="named")  # type: ignore[no-untyped-call]
_NUMBERED = psycopg.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]

Origin = tuple[int, str | None]
"""A line of the revision, and the operation on it."""


class Capture:
    """Collects the statements of one revision.

    Attributes:
        statements: what was emitted so far.
    """

    current: Capture | None = None

    def __init__(self, file: str, default_schema: str) -> None:
        self.statements: list[RecordedStatement] = []
        self._file = file
        self._default_schema = default_schema
        self._literals = Literals(file)
        self._operation: list[str | None] = []
        self._autocommit = 0
        self._transactional = True
        self.replayed: Origin | None = None

    def origin(self) -> Origin:
        """Return the line of the revision that is running, and the operation that it called."""
        if self.replayed is not None:
            return self.replayed
        # The outermost operation is the one that the person wrote; operations call each other.
        operation = self._operation[0] if self._operation else None
        # inspect.stack() would read every source file of the stack.
        frame: FrameType | None = sys._getframe(1)  # noqa: SLF001
        known: dict[str, bool] = {}
        while frame is not None:
            name = frame.f_code.co_filename
            if known.setdefault(name, same_file(name, self._file)):
                return frame.f_lineno, operation
            frame = frame.f_back
        return 1, operation

    def emitted(self, construct: Any, *_: Any, **__: Any) -> None:
        """Take the place of Alembic's ``DefaultImpl._exec``."""
        line, operation = self.origin()
        sql = compiled(construct)
        try:
            statements = parse(sql)
        except SqlSyntaxError as error:
            change = OtherStatement(QualifiedName("", ""), sql, "")
            self._add(sql, line, (change,), operation, problem=error.message)
            return
        for statement in statements:
            changes = lower(statement, self._default_schema)
            self._add(statement.text, self._literals.line(sql, line, statement.line), changes, operation)

    def online(self, change: AnyChange, title: str) -> None:
        """Take an online operation's change: ``context.opts["truing_record"]``."""
        line, operation = self.origin()
        self._add("", line, (change,), operation, online=True, title=title)

    def _add(
        self,
        sql: str,
        line: int,
        changes: tuple[AnyChange, ...],
        operation: str | None,
        *,
        online: bool = False,
        title: str = "",
        problem: str = "",
    ) -> None:
        recorded = RecordedStatement(
            sql=sql,
            location=Location(self._file, line),
            changes=changes,
            autocommit=self._autocommit > 0 or online or not self._transactional,
            online=online,
            operation=operation,
            title=title,
            problem=problem,
        )
        self.statements.append(recorded)

    @contextmanager
    def autocommit_block(self) -> Iterator[None]:
        """Take the place of ``MigrationContext.autocommit_block``."""
        self._autocommit += 1
        try:
            yield
        finally:
            self._autocommit -= 1

    @contextmanager
    def invoking(self, operation: MigrateOperation) -> Iterator[None]:
        """Note the operation that runs; for SQL that is only executed there is none to name."""
        self._operation.append(None if isinstance(operation, ExecuteSQLOp) else operation_name(operation))
        try:
            yield
        finally:
            self._operation.pop()

    @contextmanager
    def installed(self, context: MigrationContext) -> Iterator[None]:
        """Make a context report to this capture, with ``alembic.op`` working on it."""
        self._transactional = bool(context.impl.transactional_ddl)
        context.impl._exec = self.emitted  # type: ignore[method-assign]  # noqa: SLF001 - everything passes here
        context.impl.static_output = lambda text: None  # type: ignore[method-assign]  # noqa: ARG005
        context.autocommit_block = self.autocommit_block  # type: ignore[method-assign]
        context.opts["truing_record"] = self.online
        context.opts.setdefault("truing_default_schema", self._default_schema)
        Capture.current = self
        try:
            with Operations.context(context):
                yield
        finally:
            Capture.current = None


def compiled(construct: Any) -> str:
    """Write a construct as SQL text, its parameters as literals where that is possible."""
    construct = text(construct) if isinstance(construct, str) else construct
    if isinstance(construct, DDLElement):
        return str(construct.compile(dialect=_LITERAL)).strip()
    if any(bind.required for bind in getattr(construct, "_bindparams", {}).values()):
        # `:name` without a value fails when it is run, and may stand inside a quoted text: NULL would be an invention.
        return str(construct.compile(dialect=_LITERAL)).strip()
    try:
        return str(construct.compile(dialect=_LITERAL, compile_kwargs={"literal_binds": True})).strip()
    except (SQLAlchemyError, NotImplementedError, TypeError, ValueError):
        return str(construct.compile(dialect=_NUMBERED)).strip()


def operation_name(operation: MigrateOperation) -> str:
    """Return how an operation is spelled on ``op``: ``CreateForeignKeyOp`` -> ``create_foreign_key``."""
    words = type(operation).__name__.removesuffix("Op")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", words).lower()


class _Batch(list[Any]):
    """The pending calls of ``batch_alter_table``, each with its origin: they run when the block ends."""

    def __init__(self) -> None:
        super().__init__()
        self._origins: list[Origin | None] = []

    def append(self, item: Any) -> None:
        self._origins.append(Capture.current.origin() if Capture.current else None)
        super().append(item)

    def __iter__(self) -> Iterator[Any]:
        for item, origin in zip(super().__iter__(), self._origins, strict=True):
            if Capture.current is not None:
                Capture.current.replayed = origin
            try:
                yield item
            finally:
                if Capture.current is not None:
                    Capture.current.replayed = None


def patch_alembic() -> None:
    """Let operations, also those inside ``batch_alter_table``, report to :attr:`Capture.current`."""
    invoke, start = AbstractOperations.invoke, BatchOperationsImpl.__init__

    def reporting(self: AbstractOperations, operation: MigrateOperation) -> Any:
        if Capture.current is None:
            return invoke(self, operation)
        with Capture.current.invoking(operation):
            return invoke(self, operation)

    def started(self: BatchOperationsImpl, *args: Any, **kw: Any) -> None:
        start(self, *args, **kw)  # type: ignore[no-untyped-call]
        self.batch = _Batch()

    AbstractOperations.invoke = reporting  # type: ignore[method-assign]
    BatchOperationsImpl.__init__ = started  # type: ignore[method-assign]
