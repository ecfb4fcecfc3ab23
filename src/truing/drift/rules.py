"""Under which rules is drift said? Each has a page, as those of lint and orm have; what finds them is the comparison.

Names and severities of the findings are made in :mod:`truing.drift.findings`; here they can be selected, ignored,
allowed and explained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from truing.config import Config
from truing.drift.model import Drift
from truing.finding import Finding, Severity
from truing.rule import Docs, Emitted, Registry, Rule, Selection, parse_docs


def registry() -> Registry:
    """Return the rules of drift."""
    return Registry(_rules())


def chosen(
    findings: Iterable[Finding], config: Config, *, known: Callable[[], Registry] = registry
) -> tuple[Finding, ...]:
    """Keep what is selected and what nobody allowed.

    Args:
        findings: of a comparison.
        config: its ``select``, ``ignore`` and ``allow`` are applied.
        known: gathers the rules there are, where that matters; :func:`registry` by default.

    Raises:
        ConfigurationError: ``select`` or ``ignore`` names no rule.
    """
    allowed = {(each.rule, each.subject) for each in config.allow}
    findings = tuple(finding for finding in findings if (finding.rule, finding.subject) not in allowed)
    if (config.select, config.ignore) == (("ALL",), ()):
        # Gathering all rules takes as long as a look at the database.
        return findings
    own, selection = registry(), Selection.of(known(), config.select, config.ignore, source=config.file)
    return tuple(finding for finding in findings if finding.rule in selection or finding.rule not in own)


def _rules() -> Iterator[Rule]:
    for code, name, severity, text in _PAGES:
        yield Rule(code, name, Drift, severity, "0.1", _by_comparison, _page(text), _VARIES.get(name, ""))


def _by_comparison(_subject: Drift, _context: object) -> Emitted:
    # Drift is found by comparing whole snapshots (truing.drift.run), not object by object.
    return ()


def _page(text: str) -> Docs:
    what, why, example, instead = (part.strip("\n") for part in text.split("\n--\n"))
    return parse_docs(
        f"## What it does\n{what}\n\n## Why is this bad?\n{why}\n\n## Example\n{_block(example)}\n"
        f"Use instead:\n{_block(instead)}\n"
    )


def _block(code: str) -> str:
    language = "text" if code.startswith("# ") else "console" if code.startswith("$") else "python"
    return f"```{language}\n{code}\n```"


_BY_TIER: Final = (
    "warning for what costs speed or nobody declared, info for names, comments and order; the finding says which, in"
    " brackets"
)
_VARIES: Final = {
    "migration-missing": _BY_TIER,
    "live-edited-by-hand": _BY_TIER,
    "migration-wrong": _BY_TIER,
    "conflicting-definitions": _BY_TIER,
    "extension-not-here": "warning where only the name stood in",
}

_PAGES: Final = (
    (
        "TR401",
        "migration-missing",
        Severity.ERROR,
        """
Finds what the models say and no revision builds, or the other way round.
--
A database that is made by the migrations is not the one that the application expects.
--
class Order(Base):
    note: Mapped[str | None] = mapped_column()  # and no revision
--
op.add_column("orders", sa.Column("note", sa.Text))
""",
    ),
    (
        "TR402",
        "live-edited-by-hand",
        Severity.ERROR,
        """
Finds where the live database is not what its own revisions build.
--
The next revision meets a database that nobody tested it on, and a new one lacks what was added by hand.
--
$ psql -c 'CREATE INDEX ON orders (placed)'
--
op.create_index_online("ix_orders_placed", "orders", ["placed"])
""",
    ),
    (
        "TR403",
        "migration-wrong",
        Severity.ERROR,
        """
Finds where models and live database agree, and the migrations build something else.
--
Every new database (of a developer, of CI, of the next region) differs from production.
--
op.create_table("orders", sa.Column("total", sa.Float))  # live and the models have numeric
--
op.create_table("orders", sa.Column("total", sa.Numeric(12, 2)))
""",
    ),
    (
        "TR404",
        "conflicting-definitions",
        Severity.ERROR,
        """
Finds where the sides contradict each other, and none of them is in the majority.
--
Nobody can tell what is meant. A fix that is offered takes the models at their word.
--
# the models say varchar(20), the migrations varchar(30), the live database text
--
# the models say text, a new revision says text, the live database is text
""",
    ),
    (
        "TR405",
        "pending-migration",
        Severity.INFO,
        """
Finds what a revision brings that the live database has not got yet.
--
Nothing is wrong; it is said so that it is not taken for drift.
--
$ alembic current
--
$ truing upgrade
""",
    ),
    (
        "TR406",
        "hidden-from-autogenerate",
        Severity.INFO,
        """
Finds differences in what `include_object` or `include_name` of `env.py` hides.
--
What is hidden changes without anybody being told.
--
def include_object(object, name, type_, reflected, compare_to):
    return False
--
from truing import include_object
""",
    ),
    (
        "TR407",
        "model-not-creatable",
        Severity.ERROR,
        """
Finds what the models ask for and PostgreSQL refuses.
--
The model cannot be what is in any database, so nothing about it can be compared or tested.
--
Index("ix_orders_doc", "doc", postgresql_using="gin")  # doc is json, which has no operator class for gin
--
Index("ix_orders_doc", sa.text("(doc::jsonb)"), postgresql_using="gin")
""",
    ),
    (
        "TR408",
        "migrations-need-help",
        Severity.WARNING,
        """
Finds what the migrations take for granted: an extension, a schema, a role that no revision makes.
--
`alembic upgrade head` fails on an empty database, in CI and after a disaster.
--
op.execute("CREATE TABLE t (name citext)")  # and nothing makes the extension
--
op.execute("CREATE EXTENSION IF NOT EXISTS citext")
""",
    ),
    (
        "TR409",
        "not-compared",
        Severity.WARNING,
        """
Finds objects of the live database of a kind that truing does not read.
--
What is not read is not compared: here, silence is not agreement.
--
# the live database has 2 object(s) in pg_transform
--
# [[tool.truing.allow]] rule = "not-compared", subject = "pg_transform", reason = "..."
""",
    ),
    (
        "TR410",
        "several-heads",
        Severity.WARNING,
        """
Finds projects with several newest revisions.
--
`alembic upgrade head` refuses to choose, usually in the middle of a deployment.
--
$ alembic heads
--
$ alembic merge heads
""",
    ),
    (
        "TR411",
        "unstamped-database",
        Severity.ERROR,
        """
Finds live databases that are at no revision.
--
An upgrade begins with the first revision, and fails at the first table that is there already.
--
$ alembic current
--
$ alembic stamp REVISION
""",
    ),
    (
        "TR412",
        "unknown-revision",
        Severity.ERROR,
        """
Finds live databases at a revision that the project does not have.
--
No upgrade can start from there: Alembic does not know what the database is.
--
$ alembic current  # Can't locate revision identified by '1a2b3c'
--
$ git log --diff-filter=D -- 'migrations/versions/*'
""",
    ),
    (
        "TR413",
        "extension-not-here",
        Severity.INFO,
        """
Finds extensions that the scratch server has not got, so that something of the same name stood in for them.
--
What the extension itself would have refused or computed is not seen.
Where only its name stood in, a revision that needs more of it fails.
--
op.execute("CREATE EXTENSION pg_cron")
--
$ truing drift --scratch-url postgresql://localhost/postgres  # a server that has it
""",
    ),
)
"""Code, name, severity, and the page: what it does, why that is bad, an example and what to do instead."""
