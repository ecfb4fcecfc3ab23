"""Which writes are wrong, though the legacy database takes them, and what refuses each at head?

In: a writer. Out: what it wrote that should not be (kept in the ledger, to be found settled at the end), or an error of
PostgreSQL that names exactly the constraint that is there for it; any other error is a failure.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec
import psycopg

if TYPE_CHECKING:
    from truing.demo.worker import Worker

NOBODY: Final = -1
"""The writer of ledger rows that no writer touches again."""

_PROOF: Final = re.compile("__truing_[0-9a-f]{8}_not_null")
_NIL: Final = uuid.UUID(int=0)


class Wrong(msgspec.Struct, frozen=True):
    """A kind of write that should never have been possible.

    Attributes:
        name: what it does.
        refused_by: what refuses it, as :func:`refusal` says it.
        write: does it; False where there was nothing to do it with.
        service_only: a tenant's session of the legacy application may not do it.
        never_let_through: tried only where every table is closed.
        before_head: refused by ``rbac_contract`` already.
    """

    name: str
    refused_by: str
    write: Callable[[Worker, psycopg.Connection[Any]], bool]
    service_only: bool = False
    never_let_through: bool = False
    before_head: bool = False


def refusal(error: psycopg.Error) -> str:
    """Say what refused a statement: the constraint, the column that takes no NULL, or the error's own name."""
    said = error.diag
    if isinstance(error, psycopg.errors.NotNullViolation):
        return f"NOT NULL {said.column_name}"
    if said.constraint_name:
        return said.constraint_name
    name = type(error).__name__
    return {"InvalidTextRepresentation": "type uuid", "InsufficientPrivilege": "privileges"}.get(name, name)


def rightly(wrong: Wrong, error: psycopg.Error) -> bool:
    """Tell whether an error is the refusal of a wrongful write. NOT NULL is proved by a CHECK, which refuses first."""
    said = refusal(error)
    proof = wrong.refused_by.startswith("NOT NULL") and _PROOF.fullmatch(said) is not None
    return said == wrong.refused_by or proof


def _keep(connection: psycopg.Connection[Any], kind: str, rel: str, row: uuid.UUID, col: str | None = None) -> None:
    """Take note of a wrong row; of a wrong value with its column, which is replaced instead of the row moved away."""
    connection.execute(
        "INSERT INTO truing_demo.wrong (kind, rel, id, col) VALUES (%s, %s, %s, %s)", (kind, rel, row, col)
    )


def _person(writer: Worker, connection: psycopg.Connection[Any], tenant: uuid.UUID | None, **more: str) -> uuid.UUID:
    """Make a profile that no other operation touches."""
    row = uuid.UUID(int=writer.random.getrandbits(128))
    values = {"id": row, "tenant_id": str(tenant) if tenant else "default", "display_name": "new", **more}
    values["email"] = f"{row.hex}@example.com"
    names, places = ", ".join(values), ", ".join(f"%({name})s" for name in values)
    connection.execute(f"INSERT INTO profiles ({names}) VALUES ({places})", values)
    connection.execute(
        "INSERT INTO truing_demo.ledger (profile_id, writer, tenant, display_name, inserted, grants)"
        " VALUES (%s, %s, %s, 'new', true, 0)",
        (row, NOBODY, tenant or _NIL),
    )
    return row


def _two(writer: Worker) -> tuple[uuid.UUID, uuid.UUID] | None:
    """Choose two tenants that have roles."""
    known = [tenant for tenant in writer.job.tenants if tenant in writer.job.roles]
    chosen = writer.random.sample(known, min(2, len(known)))
    return (chosen[0], chosen[1]) if len(chosen) > 1 else None


def _grant(connection: psycopg.Connection[Any], person: uuid.UUID, role: int, tenant: uuid.UUID) -> uuid.UUID:
    made = connection.execute(
        "INSERT INTO user_roles (user_id, role_id, tenant_id) VALUES (%s, %s, %s) RETURNING id", (person, role, tenant)
    ).fetchone()
    if made is None:  # pragma: no cover - it is one row
        raise AssertionError
    row: uuid.UUID = made[0]
    return row


def _granted(kind: str, writer: Worker, connection: psycopg.Connection[Any]) -> bool:
    """Give a person another tenant's role: within that tenant, or as if it were one of the person's own."""
    pair = _two(writer)
    if pair is None:
        return False
    home, other = pair
    writer.writes_in(connection, home)
    person = _person(writer, connection, home)
    within = other if kind == ELSEWHERE else home
    _keep(connection, kind, "user_roles", _grant(connection, person, writer.job.roles[other], within))
    return True


def _move_with_grants(writer: Worker, connection: psycopg.Connection[Any]) -> bool:
    held = [row for row in writer.profiles if row not in writer.free]
    if not held:
        return False
    row = writer.random.choice(held)
    home = writer.profiles[row]
    other = writer.random.choice([tenant for tenant in writer.job.tenants if tenant != home] or [home])
    if other == home:
        return False
    writer.writes_in(connection, home)
    connection.execute("UPDATE profiles SET tenant_id = %s WHERE id = %s", (str(other), row))
    connection.execute(
        "INSERT INTO truing_demo.wrong (kind, rel, id) SELECT %s, 'user_roles', id FROM user_roles WHERE user_id = %s",
        (MOVED, row),
    )
    connection.execute(
        "UPDATE truing_demo.ledger SET tenant = %s, writer = %s, grants = NULL WHERE profile_id = %s",
        (other, NOBODY, row),
    )
    writer.after_commit(lambda: writer.forget(row))
    return True


def _script_path(writer: Worker, connection: psycopg.Connection[Any]) -> bool:
    tenant = writer.random.choice(writer.job.tenants)
    writer.writes_in(connection, tenant)
    path = writer.random.choice(("javascript:alert(1)", "//elsewhere.example", "/\\elsewhere.example"))
    made = writer.item(connection, tenant, path)
    _keep(connection, SCRIPT, "sidebar_features", made)
    return True


def _unknown_role(writer: Worker, connection: psycopg.Connection[Any]) -> bool:
    tenant = writer.random.choice(writer.job.tenants)
    writer.writes_in(connection, tenant)
    _keep(connection, ROLE, "profiles", _person(writer, connection, tenant, role="no such role"), "role")
    return True


def _third_value(writer: Worker, connection: psycopg.Connection[Any]) -> bool:
    if not writer.unset:
        return False
    tenant, flag = writer.unset[-1], writer.job.flag
    writer.writes_in(connection, tenant)
    made = uuid.UUID(int=writer.random.getrandbits(128))
    connection.execute(
        "INSERT INTO tenant_features (id, tenant_id, feature_id, is_enabled) VALUES (%s, %s, %s, NULL)",
        (made, tenant, flag),
    )
    _keep(connection, THIRD, "tenant_features", made, "is_enabled")
    writer.after_commit(lambda: writer.unset.remove(tenant))
    return True


def _no_tenant(writer: Worker, connection: psycopg.Connection[Any]) -> bool:
    writer.writes_in(connection, writer.random.choice(writer.job.tenants))
    _keep(connection, MALFORMED, "profiles", _person(writer, connection, None), "tenant_id")
    return True


def _by_the_application(writer: Worker, connection: psycopg.Connection[Any]) -> bool:
    tenants = [tenant for tenant in writer.job.tenants if tenant in writer.job.roles]
    if not tenants or not writer.profiles:
        return False
    row = writer.random.choice(list(writer.profiles))
    home = writer.profiles[row]
    if home not in writer.job.roles:
        return False
    writer.as_application(connection, home)
    _keep(connection, OWN_HAND, "user_roles", _grant(connection, row, writer.job.roles[home], home))
    return True


ELSEWHERE: Final = "grant in another tenant"
FOREIGN: Final = "another tenant's role"
MOVED: Final = "move with the grants"
SCRIPT: Final = "path that leaves the site"
ROLE: Final = "role that is none"
THIRD: Final = "flag neither on nor off"
MALFORMED: Final = "tenant 'default'"
OWN_HAND: Final = "grant by app_user itself"

WRONGS: Final = (
    Wrong(MALFORMED, "type uuid", _no_tenant, service_only=True, before_head=True),
    Wrong(THIRD, "NOT NULL is_enabled", _third_value, service_only=True, before_head=True),
    Wrong(ELSEWHERE, "fk_user_roles_profile", partial(_granted, ELSEWHERE)),
    Wrong(MOVED, "fk_user_roles_profile", _move_with_grants, service_only=True),
    Wrong(FOREIGN, "fk_user_roles_role", partial(_granted, FOREIGN)),
    Wrong(ROLE, "fk_profiles_role", _unknown_role),
    Wrong(SCRIPT, "ck_sidebar_features_url", _script_path),
    Wrong(OWN_HAND, "privileges", _by_the_application, never_let_through=True),
)
"""Every kind, in the order in which the revisions begin to refuse them."""
