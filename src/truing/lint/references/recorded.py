"""Which tables do revisions name, which columns do they drop? Recorded revisions in; facts with their lines out.

Raw SQL and operations meet here: both were recorded as statements, and the parse tree says what they name. A statement
that the parser cannot read, and a revision that cannot be recorded, are facts of their own.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from truing.changes import AddForeignKey, AlterColumnType, AnyChange, DropColumn, RenameColumn
from truing.errors import SqlSyntaxError
from truing.finding import Evidence, Location
from truing.lint.facts import ColumnRemoval, Fact, Facts, Scope, Suppressor, TableReference, UnrecordableRevision
from truing.lint.references.live import named_in_body
from truing.revisions.record import RecordedRevision, RecordedStatement
from truing.sql.comments import python_suppressions, sql_suppressions
from truing.sql.parse import parse
from truing.sql.relations import bodies, relations

_HEAD = 60
_LONGEST_EVIDENCE = 400


def revision_references(revisions: Iterable[RecordedRevision]) -> Facts:
    """Collect the tables that revisions name, and what about them could not be read.

    Args:
        revisions: as :func:`truing.revisions.record.record` gives them.
    """
    facts: list[Fact] = []
    suppressors: list[Suppressor] = []
    for revision in revisions:
        source = _Source(revision)
        suppressors += source.suppressors()
        if revision.problem is not None:
            facts.append(
                UnrecordableRevision(
                    subject=revision.problem.subject,
                    location=revision.problem.location,
                    scopes=source.scopes(revision.problem.location),
                    revision=revision.revision,
                    problem=revision.problem,
                )
            )
        for statement in revision.statements:
            facts += _statement_facts(revision.revision, statement, source)
    return Facts(tuple(dict.fromkeys(facts)), tuple(suppressors))


def _statement_facts(revision: str, statement: RecordedStatement, source: _Source) -> Iterator[Fact]:
    head = statement.title or " ".join(statement.sql.split())
    subject = f"{revision}: {head if len(head) <= _HEAD else head[: _HEAD - 3] + '...'}"
    shown = statement.sql if len(statement.sql) <= _LONGEST_EVIDENCE else statement.sql[:_LONGEST_EVIDENCE] + " ..."
    for schema, name, action in dict.fromkeys(_named(statement)):
        yield TableReference(
            origin="revision",
            subject=subject,
            schema=schema,
            name=name,
            action=action,
            certain=action != _IN_BODY,
            location=statement.location,
            scopes=source.scopes(statement.location),
            revision=revision,
            evidence=(Evidence("statement", shown),) if shown else (),
        )
    for change in statement.changes:
        if isinstance(change, DropColumn | RenameColumn):
            yield ColumnRemoval(
                subject=subject,
                table=change.table.sql,
                column=change.column,
                action="drops" if isinstance(change, DropColumn) else "renames",
                location=statement.location,
                scopes=source.scopes(statement.location),
                revision=revision,
                evidence=(Evidence("statement", shown),) if shown else (),
            )


_IN_BODY = "has a function body whose text names"


def _named(statement: RecordedStatement) -> Iterator[tuple[str | None, str, str]]:
    try:
        parsed = parse(statement.sql)
    except SqlSyntaxError:
        parsed = ()
    if not parsed:
        # An online operation (it has no SQL before it runs), or text that is not PostgreSQL's.
        yield from _named_by(statement.changes)
        return
    for each in parsed:
        for relation in relations(each):
            yield relation.schema, relation.name, "names"
        for language, body, _ in bodies(each):
            for schema, name, _ in named_in_body(language, body):
                yield schema, name, _IN_BODY


def _named_by(changes: Iterable[AnyChange]) -> Iterator[tuple[str | None, str, str]]:
    for change in changes:
        if change.table.name:
            yield change.table.schema or None, change.table.name, "names"
        match change:
            case AddForeignKey(references=table):
                yield table.schema or None, table.name, "adds a foreign key to"
            case AlterColumnType(references=reference) if reference is not None:
                yield reference.table.schema or None, reference.table.name, "looks its values up in"


class _Source:
    """The file of a revision: which lines belong together, and what is allowed on them."""

    def __init__(self, revision: RecordedRevision) -> None:
        self._revision = revision.revision
        self._file = revision.path
        try:
            self._text = Path(revision.path).read_text(encoding="utf-8")
            tree = ast.parse(self._text)
        except (OSError, SyntaxError, ValueError):
            self._text, tree = "", ast.Module([], [])
        self._tree = tree
        self._lines = {
            line: (node.lineno, node.end_lineno or node.lineno)
            for node in ast.walk(tree)
            if isinstance(node, ast.stmt) and not hasattr(node, "body")
            for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
        }

    def scopes(self, location: Location | None) -> tuple[Scope, ...]:
        """The Python statement around a line, where a comment counts."""
        if location is None:
            return ()
        first, last = self._lines.get(location.line, (location.line, location.line))
        return (Scope(location.file, first, last),)

    def suppressors(self) -> Iterator[Suppressor]:
        """The comments of the file, and the SQL comments inside its strings (they count for the whole call)."""
        for each in python_suppressions(self._text):
            yield self._suppressor(each.names, each.line, each.target, each.problem)
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "truing:" in node.value:
                target = self._lines.get(node.lineno, (node.lineno, node.lineno))[0]
                for each in sql_suppressions(node.value):
                    yield self._suppressor(each.names, node.lineno + each.line - 1, target, each.problem)

    def _suppressor(self, names: tuple[str, ...], line: int, target: int, problem: str) -> Suppressor:
        return Suppressor(self._file, names, target, Location(self._file, line), problem, self._revision)
