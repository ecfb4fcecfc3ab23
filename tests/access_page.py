"""The reference page of the RBAC functions, triggers and invariants, made from the code."""

from __future__ import annotations

import inspect
import re

from truing.rbac import access, invariants
from truing.rbac.access.cache import Cache
from truing.rbac.program import PROGRAM, QUESTIONS, functions, supabase
from truing.rbac.program.binding import BINDINGS, Binding
from truing.rbac.program.triggers import TRIGGERS

_HEAD = """# RBAC: functions, triggers, invariants

What `truing rbac install` brings into a database that has [the tables](rbac.md);
[Check permissions](../how-to/check-permissions.md) says how to use it."""

_PYTHON = """`on` is a SQLAlchemy `Connection` or `Session`; `truing.rbac.access.aio` has the same functions for
`AsyncConnection` and `AsyncSession`. `program` is the schema of the functions, `rbac` unless said otherwise."""

_SQL = """In the schema `rbac` (`--program`). Nobody may call them but their owner and the roles that
`truing rbac install` is told."""

_BOUND = """`truing rbac install --bind` says what `current_tenant()` believes;
[Tenant isolation](../explanation/tenant-isolation.md#who-says-which-tenant-it-is) says which to choose.
These are for who administers."""


def access_page() -> str:
    parts = [_HEAD, "## In Python", _PYTHON]
    for name in access.__all__:
        value = getattr(access, name)
        if inspect.isfunction(value):
            parts += [f"### {name}", f"```text\n{name}{_signature(value)}\n```", _text(value)]
    parts += ["### Cache", f"```text\ntruing.rbac.access.cache.Cache{_signature(Cache)}\n```", _text(Cache)]
    parts += ["## In SQL", _SQL, *(_function(name) for name in QUESTIONS)]
    bound = [(bind, name) for bind in BINDINGS for name in functions(bind) if name not in functions()]
    parts += ["## Binding a tenant", _BOUND, *(_function(name, bind) for bind, name in bound)]
    parts += ["## Triggers", _triggers(), "## Invariants", _invariants()]
    return "\n\n".join(parts)


def _signature(value: object) -> str:
    # Before Python 3.14 a string annotation is shown in quotes.
    shown = str(inspect.signature(value)).replace("'", "")  # type: ignore[arg-type]
    return re.sub(r"\(self, ", "(", shown)


def _text(value: object) -> str:
    summary, _, rest = inspect.getdoc(value).partition("\n\n")  # type: ignore[union-attr]
    lines = [
        f"- `{name}`: {' '.join(text.split())}"
        for name, text in re.findall(r"(?m)^    (\w+): ((?:.+\n?)(?:        .+\n?)*)", rest)
    ]
    return "\n\n".join(filter(None, [" ".join(summary.split()), "\n".join(lines)]))


def _function(name: str, bind: Binding = "setting") -> str:
    source = functions(bind)[name]
    comment = " ".join(line.removeprefix("-- ") for line in source.splitlines() if line.startswith("-- "))
    found = re.search(r"CREATE OR REPLACE FUNCTION \S+?\.(\w+\(.*?\))\s+RETURNS (.+?)\n", source, re.DOTALL)
    assert found, name
    signature = " ".join(found[1].split())
    return f"### {name}()\n\n```text\n{signature} -> {found[2]}\n```\n\n{comment}"


def _triggers() -> str:
    rows = [
        f"| `{each.table}` | `{each.name}` | {each.timing}, each {each.each.lower()} | `{each.function}` |"
        for each in TRIGGERS
    ]
    rows += [
        f"| `{supabase.USERS}`, with `--bind supabase` | `{name}` | AFTER {event}, each row | `{supabase.FOLLOW}` |"
        for event, name in supabase.trigger_names(PROGRAM).items()
    ]
    return "\n".join(["| table | trigger | when | function |", "|---|---|---|---|", *rows])


def _invariants() -> str:
    every, general = invariants.invariants(bind="supabase"), len(invariants.invariants())
    rows = [f"| `{each.name}` | {each.sentence} | {each.remedy} |" for each in every[:general]]
    rows += [f"| `{each.name}`, with `--bind supabase` | {each.sentence} | {each.remedy} |" for each in every[general:]]
    head = ["| invariant | | where it is broken |", "|---|---|---|"]
    return "\n".join(["`truing rbac verify` counts the rows that break each.\n", *head, *rows])
