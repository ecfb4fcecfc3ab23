"""``truing upgrade``: to a newer revision, while the application keeps writing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from truing.cli.options import Invocation, common

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from truing.names import QualifiedName
    from truing.online.migrate import Preview
    from truing.report.document import Cell, Document
    from truing.revisions.record import RecordedRevision


@click.command("upgrade")
@click.option("--to", "revision", show_default="heads", metavar="REV", help="Where to, as in Alembic.")
@click.option("--plan", "only_plan", is_flag=True, help="Print the steps with their locks; run nothing.")
@click.option("--no-audit", is_flag=True, help="Do not read the tables first.")
@common
def command(invocation: Invocation, revision: str | None, only_plan: bool, no_audit: bool) -> int:
    """Bring the database to the newest revision while the application keeps writing.

    First an audit reads every table concerned: where rows would make a revision fail, nothing is begun. Then the
    revisions run, and the catalog is asked whether it shows what they ask for.

    Ctrl-C stops between two batches; the same command goes on where it was.

    \b
    Examples:
      truing upgrade --plan
      truing upgrade
      truing upgrade --to rbac@head --database-url postgresql://localhost/app
    """
    from truing.cli.database import project
    from truing.cli.migration import heads, migrate
    from truing.report.document import document
    from truing.revisions.history import pending
    from truing.revisions.record import record

    found = project(invocation)
    revision = revision or found.head
    before = heads(invocation)
    waiting = pending(found, before, revision)
    if not waiting:
        return invocation.answer(document("upgrade", summary="Nothing to do: the database is there already."))
    recorded = record(found, [each.revision for each in waiting])
    if only_plan:
        return _plan(invocation, recorded)
    if not no_audit:
        refused = _refused(invocation, recorded)
        if refused is not None:
            return invocation.answer(refused)
    facts = migrate(invocation, "upgrade", revision)
    places: dict[str, Cell] = {
        "before": ", ".join(before) or "(base)",
        "after": ", ".join(heads(invocation)) or "(base)",
    }
    return _verified(invocation, recorded, places | facts)


def _refused(invocation: Invocation, recorded: tuple[RecordedRevision, ...]) -> Document | None:
    """Audit the rows, and return what it says when a revision would fail because of them."""
    from truing.audit.run import audit
    from truing.cli.database import connect_reading, project
    from truing.finding import Severity
    from truing.online.status import status
    from truing.report.audit import audit_document

    with connect_reading(project(invocation).url()) as connection:
        if status(connection):
            # A run goes on: the rows are half way between two states, and the run's own looks know how.
            return None
        invocation.say("Reading the rows before anything is changed (--no-audit leaves that out) ...")
        result = audit(connection, recorded)
    if all(finding.severity is not Severity.ERROR for finding in result.findings):
        return None
    invocation.say("Nothing was changed: a revision would fail.")
    return audit_document(result)


def _plan(invocation: Invocation, recorded: tuple[RecordedRevision, ...]) -> int:
    from truing.cli.database import connect_writing, project
    from truing.online.migrate import preview
    from truing.report.document import Column, Table, document, shown

    # Planning tries the rewriting of dependents on temporary copies, which a read-only session may not make.
    with connect_writing(project(invocation).url()) as connection:
        previews = tuple(preview(recorded, connection))
    says = {
        "planned": "online, see its plan",
        "done": "the catalog shows it as done",
        "later": "planned when it is its turn",
        "plain": "run as it is",
    }
    keys = ("revision", "statement", "how", "reason")
    rows = tuple(
        {
            "revision": each.revision,
            "line": f"{shown(each.location.file)}:{each.location.line}",
            "statement": each.title,
            "how": f"{says[each.state]}{'; ' if each.state == 'plain' else ''}{_locks(each)}",
            "locks": _locks(each) or None,
            "reason": each.reason or None,
        }
        for each in previews
    )
    # Programs get the line; a person finds it in the revision, and has the width for what is done, with the locks.
    columns = tuple(Column(key, key) for key in keys if any(row[key] for row in rows))
    note = "Ordinary statements hold their locks until the transaction of their revision ends."
    plain = any(each.state == "plain" for each in previews)
    plans = [each.plan for each in previews if each.plan is not None]
    unread = [each.problem for each in recorded if each.problem is not None]
    return invocation.answer(
        document(
            "upgrade --plan",
            findings=unread,
            tables=[Table("statements", "What the pending revisions do", columns, rows, note if plain else "")],
            plans=plans,
            summary=f"Pending revisions: {len(recorded)}. Operations planned: {len(plans)}. Nothing was changed.",
            next_steps=("truing upgrade",),
            fail_on=invocation.fail_on,
        )
    )


def _locks(preview: Preview) -> str:
    """Say what an ordinary statement locks; the plan of an online operation says it step by step."""
    if preview.state != "plain":
        return ""
    if preview.locks is None:
        return "its locks are not known"
    from truing.online.statement_locks import say

    return say(preview.locks) or "no lock on a table in use"


def _contracts(columns: Sequence[tuple[QualifiedName, str]]) -> Iterator[str]:
    """Say how long the old columns stay, and what takes them away."""
    if columns:
        table, column = columns[0]
        schema = f", schema={table.schema!r}" if table.schema != "public" else ""
        more = f" (and {len(columns) - 1:,} more)" if len(columns) > 1 else ""
        yield (
            f"later: op.contract_column_online({table.name!r}, {column!r}{schema}){more};"
            " until then the old column is kept for the way back"
        )


def _verified(invocation: Invocation, recorded: tuple[RecordedRevision, ...], facts: dict[str, Cell]) -> int:
    from truing.cli.database import connect_writing, project
    from truing.cli.migration import version_table
    from truing.online.migrate import kept, verify
    from truing.online.originals import counts
    from truing.report.document import Column, Table, document

    table, schema = version_table(invocation)
    with connect_writing(project(invocation).url()) as connection:
        checks = verify(recorded, connection, version_table=table, version_schema=schema)
        waiting = sum(row[3] for row in counts(connection))
        columns_kept = kept(recorded, connection)
    bad = [each for each in checks if not each.good]
    # A person looks for what is wrong; what is good is a number, unless a program reads it.
    shown = checks if invocation.verbose or invocation.output_format == "json" else bad
    rows: tuple[dict[str, Cell], ...] = tuple(
        {"looked at": each.what, "good": each.good, "seen": each.seen} for each in shown
    )
    columns = tuple(Column(key, key) for key in ("looked at", "good", "seen"))
    return invocation.answer(
        document(
            "upgrade",
            tables=[Table("checks", "Afterwards", columns, rows)] if rows else (),
            facts=facts | {"looked at afterwards": f"{len(checks)}, good: {len(checks) - len(bad)}"},
            summary=f"{len(bad)} of {len(checks)} checks failed."
            if bad
            else "The database is up to date, and verified.",
            next_steps=(
                *((f"truing quarantine list: {waiting:,} originals wait to be settled",) if waiting else ()),
                *_contracts(columns_kept),
            ),
            failed=bool(bad),
        )
    )
