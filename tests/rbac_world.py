"""An RBAC database of a test's own, and short words to put things into it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from truing.names import ident
from truing.rbac import program


def prepare(engine: Engine, *, schema: str = "public", name: str = "rbac", profile: str = "") -> None:
    """Make the tables at head, and the program."""
    # Imported here, because Alembic takes a third of a second that most tests do not need.
    from truing.rbac import script  # noqa: PLC0415

    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {ident(schema)}".replace("%", "%%"))
        connection.exec_driver_sql(f"SET search_path TO {ident(schema)}".replace("%", "%%"))
        connection.commit()
        # Elsewhere without a profile, both the revisions' own functions and these are there.
        told = {"profile": profile, "program": name} if profile else {}
        script.upgrade(connection, schema=schema, **told)
        program.install(connection, schema=schema, program=name)
        connection.commit()


class World:
    """A connection to a database that is prepared; what it does is committed at once."""

    def __init__(self, engine: Engine, *, schema: str = "public", name: str = "rbac") -> None:
        self.engine = engine
        self.schema = schema
        self.program = name
        self.connection: Connection = engine.connect()
        self.connection.execute(text(f"SET search_path TO {ident(schema)}"))
        self.connection.commit()

    def close(self) -> None:
        self.connection.close()

    def run(self, statement: str, **parameters: Any) -> list[Any]:
        """Run a statement, with ``rbac.`` standing for the program's schema; commit; give its rows."""
        written = statement.replace("rbac.", f"{ident(self.program)}.")
        try:
            result = self.connection.execute(text(written), parameters)
            rows = list(result.all()) if result.returns_rows else []
        except BaseException:
            self.connection.rollback()
            raise
        self.connection.commit()
        return rows

    def one(self, statement: str, **parameters: Any) -> Any:
        """The only value of a statement."""
        ((value,),) = self.run(statement, **parameters)
        return value

    def tenant(self, slug: str) -> UUID:
        return self.one("INSERT INTO tenants (name, slug) VALUES (:slug, :slug) RETURNING id", slug=slug)

    def permission(self, *names: str) -> None:
        for name in names:
            self.run("INSERT INTO permissions (name) VALUES (:name) ON CONFLICT DO NOTHING", name=name)

    def role(self, tenant: UUID, name: str, *grants: str, parents: tuple[int, ...] = ()) -> int:
        """Make a role; a grant that begins with `!` denies."""
        role = self.one("INSERT INTO roles (tenant_id, name) VALUES (:t, :name) RETURNING id", t=tenant, name=name)
        for grant in grants:
            self.allow(tenant, role, grant)
        for parent in parents:
            self.run("INSERT INTO role_inherits VALUES (:t, :r, :p)", t=tenant, r=role, p=parent)
        return role

    def allow(self, tenant: UUID, role: int, grant: str) -> None:
        self.permission(grant.removeprefix("!"))
        self.run(
            "INSERT INTO role_permissions (tenant_id, role_id, permission_id, effect)"
            " SELECT :t, :r, id, :effect FROM permissions WHERE name = :name",
            t=tenant,
            r=role,
            name=grant.removeprefix("!"),
            effect="deny" if grant.startswith("!") else "allow",
        )

    def profile(self, tenant: UUID, *roles: int) -> UUID:
        profile = self.one("INSERT INTO profiles (tenant_id) VALUES (:t) RETURNING id", t=tenant)
        for role in roles:
            self.grant(tenant, profile, role)
        return profile

    def grant(self, tenant: UUID, profile: UUID, role: int, **columns: Any) -> None:
        names = ["tenant_id", "user_id", "role_id", *columns]
        values = {"tenant_id": tenant, "user_id": profile, "role_id": role, **columns}
        self.run(
            f"INSERT INTO user_roles ({', '.join(names)}) VALUES ({', '.join(':' + name for name in names)})", **values
        )

    def can(self, tenant: UUID, profile: UUID, permission: str) -> bool:
        return self.one("SELECT rbac.can(:t, :p, :name)", t=tenant, p=profile, name=permission)

    def version(self, tenant: UUID) -> int:
        return self.one("SELECT version FROM tenant_rbac_versions WHERE tenant_id = :t", t=tenant)

    def wrong(self) -> list[Any]:
        """Roles whose masks are not right."""
        return self.run("SELECT * FROM rbac.wrong_masks()")
