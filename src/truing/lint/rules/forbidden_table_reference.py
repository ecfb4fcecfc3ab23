"""TR101: something of ours names a table that is not ours to name."""

from __future__ import annotations

import json
from collections.abc import Iterator

from truing.finding import Finding, Severity
from truing.lint.context import Context
from truing.lint.facts import TableReference
from truing.rule import rule


@rule(
    "TR101",
    "forbidden-table-reference",
    on=TableReference,
    severity=Severity.ERROR,
    since="0.1",
    varies="info for the text of a function body",
)
def forbidden_table_reference(reference: TableReference, context: Context) -> Iterator[Finding]:
    """Find references to a table of ``forbidden-tables``.

    ## What it does
    Finds references to the tables of `forbidden-tables` (`["users", "auth.users"]` when nothing is configured): in the
    models (foreign keys, relationships, the table itself), in revisions (operations and raw SQL, read from the parse
    tree) and in the live database (foreign keys, views, policies, triggers, functions).

    ## Why is this bad?
    A table that another service owns is changed, locked and restored by that service. A foreign key to it makes its
    deletes wait for your rows and its migrations fail on your constraint; a policy or a view stops them outright.

    ## Example
    ```python
    op.execute("CREATE TABLE badges (id bigint PRIMARY KEY, user_id uuid REFERENCES auth.users (id))")
    ```
    Use instead:
    ```python
    op.execute("CREATE TABLE badges (id bigint PRIMARY KEY, profile_id uuid REFERENCES profiles (id))")
    ```

    ## What the patterns mean
    `users` is the table of that name in every schema of the search path; `auth.users` is that table; `auth.*` is every
    table of that schema. What other people's objects (`unmanaged`, `auth.*` by default) refer to is theirs to decide
    and not reported. Text of a function body is only a hint, so it is reported as `info`.

    With the RBAC binding `supabase`, the three triggers that `truing rbac` declares on `auth.users` are allowed: under
    their names, as long as they call its function. They are named in the answer.
    """
    pattern = context.forbidden.match(reference.schema, reference.name)
    if pattern is None:
        return
    theirs = reference.referrer is not None and context.is_unmanaged(*reference.referrer)
    itself = reference.referrer == (reference.schema, reference.name)
    # Another service's own objects may name its tables; that a model describes such a table is still ours.
    if (theirs or itself) and not reference.definition:
        return
    if _is_declared(reference, context):
        return
    yield Finding(
        rule="forbidden-table-reference",
        severity=Severity.ERROR if reference.certain else Severity.INFO,
        subject=reference.subject,
        message=f"{reference.subject} {reference.action} {reference.table}, which is forbidden ({pattern.text}).",
        location=reference.location,
        evidence=reference.evidence,
        remedy=_remedy(reference),
        revision=reference.revision,
    )


def _is_declared(reference: TableReference, context: Context) -> bool:
    """Tell whether it is a trigger that a program of truing declares, unchanged."""
    if reference.origin != "database" or not reference.certain:
        return False
    seen = "".join(each.value for each in reference.evidence)
    return any(each.subject == reference.subject and seen.endswith(each.ending) for each in context.declared)


def _remedy(reference: TableReference) -> str:
    if reference.origin == "database":
        allow = {"rule": "forbidden-table-reference", "subject": reference.subject, "reason": "say why"}
        # A JSON string is a TOML basic string.
        lines = (f"{key} = {json.dumps(value)}" for key, value in allow.items())
        return "refer to a table of your own; or allow this one:\n[[tool.truing.allow]]\n" + "\n".join(lines)
    return (
        "refer to a table of your own; or allow this one, on the line above it:\n"
        "# truing: allow forbidden-table-reference -- say why"
    )
