"""Which statement on which table makes the program run? A table of triggers, each one line.

Statement triggers see all rows that a statement has touched, so that a grant to a thousand people is counted and
compiled once. A transition table allows one kind of event for each trigger, hence ``_i``, ``_u`` and ``_d``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

import msgspec

from truing.names import ident, literal

Event = Literal["INSERT", "UPDATE", "DELETE"]

_TABLES: Final[dict[Event, str]] = {
    "INSERT": "REFERENCING NEW TABLE AS n",
    "UPDATE": "REFERENCING OLD TABLE AS o NEW TABLE AS n",
    "DELETE": "REFERENCING OLD TABLE AS o",
}


class Trigger(msgspec.Struct, frozen=True):
    """A trigger.

    Attributes:
        table: that it is on.
        name: of the trigger.
        timing: when it runs, and on what.
        function: of the program.
        each: ``ROW`` or ``STATEMENT``.
        transition: the clause that names the rows before and after.
        condition: of ``WHEN``; empty for none.
        argument: given to the function; empty for none.
    """

    table: str
    name: str
    timing: str
    function: str
    each: Literal["ROW", "STATEMENT"] = "STATEMENT"
    transition: str = ""
    condition: str = ""
    argument: str = ""

    def create(self, *, schema: str, program: str) -> str:
        """Write the statement that makes it, or makes it anew."""
        called = f"{ident(program)}.{ident(self.function)}({literal(self.argument) if self.argument else ''})"
        parts = (
            f"CREATE OR REPLACE TRIGGER {ident(self.name)} {self.timing} ON {ident(schema)}.{ident(self.table)}",
            self.transition,
            f"FOR EACH {self.each}",
            f"WHEN ({self.condition})" if self.condition else "",
            f"EXECUTE FUNCTION {called}",
        )
        return " ".join(filter(None, parts))

    def drop(self, *, schema: str) -> str:
        """Write the statement that takes it away."""
        return f"DROP TRIGGER IF EXISTS {ident(self.name)} ON {ident(schema)}.{ident(self.table)}"


def _after(table: str, prefix: str, function: str, *events: Event, condition: str = "") -> Iterator[Trigger]:
    for event in events:
        yield Trigger(
            table,
            f"{prefix}_{event[0].lower()}",
            f"AFTER {event}",
            function,
            transition=_TABLES[event],
            condition=condition,
        )


def _audit(table: str, whose: str = "tenant_id") -> Trigger:
    return Trigger(table, "trg_audit", "AFTER INSERT OR UPDATE OR DELETE", "audit", each="ROW", argument=whose)


# A cascade takes grants away because their role or profile goes: that is not a profile taking them back.
_BY_HAND: Final = "pg_catalog.pg_trigger_depth() = 0"

TRIGGERS: Final = (
    *_after("role_permissions", "trg_rc", "recompile", "INSERT", "UPDATE", "DELETE"),
    *_after("role_inherits", "trg_rc", "recompile", "INSERT", "UPDATE", "DELETE"),
    *_after("permissions", "trg_rc", "recatalogue", "INSERT", "UPDATE", "DELETE"),
    Trigger("permissions", "trg_bit", "BEFORE INSERT", "take_bit", each="ROW"),
    *_after("roles", "trg_rc", "keep_masks", "INSERT", "UPDATE", condition=_BY_HAND),
    *_after("user_roles", "trg_v", "bump", "INSERT", "UPDATE", "DELETE"),
    *_after("tenant_features", "trg_v", "bump", "INSERT", "UPDATE", "DELETE"),
    *_after("profiles", "trg_v", "bump_profiles", "UPDATE"),
    *_after("tenants", "trg_v", "bump_self", "INSERT", "UPDATE", "DELETE"),
    *_after("sidebar_features", "trg_v", "bump_sidebar", "INSERT", "UPDATE", "DELETE"),
    Trigger("feature_flags", "trg_v", "AFTER INSERT OR UPDATE OR DELETE", "bump_everybody"),
    *map(_audit, ("user_roles", "role_permissions", "role_inherits", "role_grants", "roles", "tenant_features")),
    _audit("tenants", "id"),
    Trigger(
        "profiles",
        "trg_audit",
        "AFTER UPDATE",
        "audit_profile",
        each="ROW",
        condition="OLD.active IS DISTINCT FROM NEW.active OR OLD.tenant_id IS DISTINCT FROM NEW.tenant_id",
    ),
    Trigger("rbac_audit", "trg_audit_keep", "BEFORE UPDATE OR DELETE OR TRUNCATE", "keep_audit"),
    Trigger("user_roles", "trg_guard", "BEFORE INSERT OR UPDATE", "guard_grant", each="ROW"),
    Trigger("user_roles", "trg_guard_d", "BEFORE DELETE", "guard_grant", each="ROW", condition=_BY_HAND),
)
"""Every trigger of the program. The names are those of the schema's design, which other tools may know."""
