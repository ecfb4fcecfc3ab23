"""The documentation of a rule: as Markdown (for files and pages), and rendered for a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.markdown import Markdown

from truing.rule import Rule


def severity_of(rule: Rule) -> str:
    """Say how much the findings of a rule matter, and which of them otherwise."""
    return f"{rule.severity}; {rule.varies}" if rule.varies else rule.severity.value


def page(rule: Rule) -> str:
    """Write the page of a rule as Markdown."""
    docs = rule.docs
    allow = (
        f"Write `# truing: allow {rule.name} -- reason` (in SQL: `-- truing: allow ...`) on the line or right above it."
        " What has no source line is allowed with `[[tool.truing.allow]]` in `pyproject.toml`."
    )
    parts = [
        f"# {rule.name} ({rule.code})",
        f"Severity: {severity_of(rule)}. Since {rule.since}. Looks at: `{rule.on.__name__}`.",
        f"## What it does\n\n{docs.what}",
        f"## Why is this bad?\n\n{docs.why}",
        f"## Example\n\n```{docs.example.language}\n{docs.example.code}```",
        f"Use instead:\n\n```{docs.use_instead.language}\n{docs.use_instead.code}```",
        docs.notes,
        f"## How to allow it\n\n{allow}",
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def render_page(rule: Rule, console: Console) -> None:
    """Print the page of a rule; as plain Markdown where it goes into a file or a pipe."""
    if console.is_terminal:
        console.print(Markdown(page(rule)))
    else:
        console.file.write(page(rule))
