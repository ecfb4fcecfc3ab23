"""``truing demo``: all of it, on this machine, now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from truing.cli.options import Invocation, common

if TYPE_CHECKING:
    from truing.demo.result import Result
    from truing.report.document import Cell, Document, Table


@click.command("demo")
@click.option("--profiles", type=click.IntRange(100), default=50_000, show_default=True, help="Rows to migrate.")
@click.option("--writers", type=click.IntRange(0, 64), default=4, show_default=True, help="Processes that write.")
@click.option(
    "--rate", type=click.FloatRange(0.1, 1000), default=25.0, show_default=True, help="Operations a second, each."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Makes the rows and the writers' choices.")
@click.option("--keep", is_flag=True, help="Leave the database running, to look around, until ctrl-C.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Also write all figures.",
)
@common
def command(
    invocation: Invocation, profiles: int, writers: int, rate: float, seed: int, keep: bool, json_file: Path | None
) -> int:
    """Migrate a dirty RBAC database while an application writes to it, and show what happened.

    The application also tries what it never should have been able to write: refused as soon as a constraint holds.
    It starts a PostgreSQL of its own (or, with --database-url, makes a database of its own on your server), and leaves
    nothing behind.

    \b
    Examples:
      truing demo
      truing demo --profiles 200000 --writers 8 --json demo.json
      truing demo --keep
      truing demo --database-url postgresql://postgres@localhost/postgres
    """
    import msgspec

    from truing.demo.run import Demo
    from truing.report.progress import Progress

    with _database(invocation, keep=keep) as url:
        with Progress(invocation.log, brief=True) as progress:
            result = Demo(
                url,
                profiles=profiles,
                writers=writers,
                rate=rate,
                seed=seed,
                observer=progress,
                on_phase=progress.phase,
                on_revision=progress.sum_up,
            ).run()
        if json_file is not None:
            json_file.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")
        code = invocation.answer(_document(result))
        if keep:
            _wait(invocation, url)
    return code


@contextmanager
def _database(invocation: Invocation, *, keep: bool) -> Iterator[str]:
    """Give an empty database: on the person's server, or on a private one."""
    from truing.server import Cluster, Scratch

    if invocation.database_url is not None:
        with Scratch(invocation.database_url, named_by="--database-url") as scratch:
            yield scratch.create("truing_demo").url
        return
    if not keep:
        invocation.say("Starting a private PostgreSQL (nothing is left behind) ...")
    with Cluster(durable=True) as cluster, Scratch(cluster) as scratch:
        yield scratch.create("truing_demo").url


def _wait(invocation: Invocation, url: str) -> None:
    import signal

    from truing.redaction import redact

    invocation.say(f"\nThe database runs at {redact(url)}\nLook around with psql or truing; ctrl-C ends it.")
    try:
        signal.pause()
    except KeyboardInterrupt:
        invocation.say("Ended.")


def _document(result: Result) -> Document:
    from truing.report.document import document

    traffic, verdict = result.traffic, result.verdict
    summary = (
        f"In true: {result.profiles:,} profiles migrated while the application wrote {traffic.writes:,} times;"
        f" {len(traffic.failures)} failed, {sum(each.refused for each in result.wrongs)} were refused as they must be,"
        f" longest stall {result.latency.longest:.0f} ms, nothing lost."
        if result.good
        else "NOT in true: something that the demo claims did not hold; see the tables."
    )
    return document(
        "demo",
        tables=[
            _fates(result),
            _settled(result),
            _wrongs(result),
            _enforced(result),
            _application(result),
            _revisions(result),
            _rows(result),
            _phases(result),
        ],
        summary=summary,
        facts={
            "revision": result.target,
            **({"as far as it goes": result.instead_of_head} if result.instead_of_head else {}),
            "quarantined originals": result.quarantined,
            "rows in the ledger": verdict.checked,
        },
        next_steps=(
            "truing demo --keep, then truing quarantine list --database-url URL",
            "truing audit, truing upgrade --plan, truing upgrade: the same on your own project",
        ),
        failed=not result.good,
    )


def _fates(result: Result) -> Table:
    from truing.report.document import Column, Table

    keys = {
        "class": "tenant_id was",
        "planted": "rows",
        "predicted": "audit said",
        "found": "found",
        "became": "and became",
    }
    rows: tuple[dict[str, Cell], ...] = tuple(
        {
            "class": fate.name,
            "planted": fate.planted,
            "predicted": fate.predicted,
            "found": fate.found,
            "became": fate.became,
        }
        for fate in result.fates
    )
    return Table("fates", "Profiles by class", tuple(Column(key, title) for key, title in keys.items()), rows)


def _settled(result: Result) -> Table:
    return _pairs(
        "settled",
        "Everything else that did not fit",
        ("row", "reason", "audit said", "in quarantine"),
        [(f"{each.table}.{each.column}", each.reason, each.predicted, each.found) for each in result.settled],
    )


def _wrongs(result: Result) -> Table:
    rows: list[tuple[str | int | float, ...]] = [
        (each.name, each.let_through, f"{each.settled} of {each.rows}", each.refused, each.refused_by)
        for each in result.wrongs
    ]
    headings = ("wrongful write", "let through", "settled", "refused", "by")
    return _pairs("wrongs", "Wrongful writes of the application (rows settled of rows written)", headings, rows)


def _pairs(name: str, title: str, headings: tuple[str, ...], rows: list[tuple[str | int | float, ...]]) -> Table:
    from truing.report.document import Column, Table

    columns = tuple(Column(heading or "what", heading) for heading in headings)
    return Table(name, title, columns, tuple(dict(zip((c.key for c in columns), row, strict=True)) for row in rows))


def _enforced(result: Result) -> Table:
    before, after = result.before, result.after
    return _pairs(
        "enforced",
        "What the database itself enforces",
        ("", "before", "after"),
        [
            ("type of profiles.tenant_id", before.tenant_id_type, after.tenant_id_type),
            ("foreign keys", before.foreign_keys, after.foreign_keys),
            ("of them valid", before.valid_foreign_keys, after.valid_foreign_keys),
            ("of them hold the tenant", before.tenant_keys, after.tenant_keys),
            ("NOT NULL columns", before.not_nulls, after.not_nulls),
            ("CHECK constraints", before.checks, after.checks),
            ("usable indexes", before.indexes, after.indexes),
            ("tables closed to other tenants", before.closed_tables, after.closed_tables),
        ],
    )


def _application(result: Result) -> Table:
    traffic, before, during = result.traffic, result.latency_before, result.latency
    return _pairs(
        "application",
        "The application meanwhile",
        ("", "before", "during"),
        [
            ("latency, median", f"{before.p50:.1f} ms", f"{during.p50:.1f} ms"),
            ("latency, p99", f"{before.p99:.1f} ms", f"{during.p99:.1f} ms"),
            ("longest stall", f"{before.longest:.1f} ms", f"{during.longest:.1f} ms"),
            ("  which began in the step", "", result.stall_during or "(between two steps)"),
            ("strong locks held, in all", "", f"{result.lock_held_ms:.0f} ms"),
            ("strong lock held, longest", "", f"{result.longest_lock_ms:.0f} ms"),
            ("writes / reads, in all", "", f"{traffic.writes:,} / {traffic.reads:,}"),
            ("failed statements", "", len(traffic.failures)),
            ("wrongful writes refused", "", sum(each.refused for each in result.wrongs)),
            ("looks of another tenant's probe", "", f"{traffic.probes} ({traffic.closed_looks} at every table)"),
            ("foreign rows seen / own rows missed", "", f"{traffic.foreign} / {traffic.missing}"),
        ],
    )


def _revisions(result: Result) -> Table:
    rows: list[tuple[str | int | float, ...]] = [
        (
            each.revision,
            f"{each.seconds:.1f} s",
            f"{each.latency.p50:.1f} ms",
            f"{each.latency.p99:.1f} ms",
            f"{each.latency.longest:.1f} ms",
        )
        for each in result.stretches
    ]
    return _pairs("revisions", "By revision", ("revision", "took", "median", "p99", "longest stall"), rows)


def _rows(result: Result) -> Table:
    verdict, before, after = result.verdict, result.digest_before, result.digest_after
    same = "the same" if before == after else "DIFFERENT"
    return _pairs(
        "rows",
        "Every row accounted for",
        ("", "result"),
        [
            ("rows checked against the writers' ledger", verdict.checked),
            ("lost / wrong / resurrected", f"{verdict.lost} / {verdict.wrong} / {verdict.resurrected}"),
            ("duplicated / wrong grants", f"{verdict.duplicated} / {verdict.wrong_grants}"),
            ("sidebar items lost", verdict.lost_items),
            ("hash of original tenant ids, before", before.tenant_ids[:16]),
            ("hash of original tenant ids, after", after.tenant_ids[:16]),
            ("hash of all other columns, before", before.other_columns[:16]),
            ("hash of all other columns, after", after.other_columns[:16]),
            ("hash of grants, before", before.grants[:16]),
            ("hash of grants, after", after.grants[:16]),
            ("hashes", same),
        ],
    )


def _phases(result: Result) -> Table:
    rows: list[tuple[str | int | float, ...]] = [(phase.name, f"{phase.seconds:.1f} s") for phase in result.phases]
    return _pairs("phases", "Time", ("phase", "took"), rows)
