"""Which table does a binding add? Declared like the others, so that models, migrations and a database stay one thing.

In: the binding, and the schema of the functions. Out: a MetaData beside that of the models; empty for a binding that
reads no table. Nothing is mapped: nobody but the functions' owner may read it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import CheckConstraint, Column, DateTime, ForeignKey, Index, LargeBinary, MetaData, Table, Text, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.types import UserDefinedType

from truing.rbac.models.tenancy import Tenant
from truing.rbac.program.binding import TABLES, Binding


class RegRole(UserDefinedType[str]):
    """A role by its number, which SQLAlchemy has no type for."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Name the type."""
        return "regrole"


ischema_names.setdefault("regrole", RegRole)


def tables_of(binding: Binding | None, program: str | None = None) -> MetaData:
    """Declare the table of a binding.

    Args:
        binding: that the configuration says.
        program: the schema of the functions, and so of the table; None for that of the tables.
    """
    metadata = MetaData()
    match binding:
        case "role":
            Table(
                TABLES["role"],
                metadata,
                Column("role", RegRole, primary_key=True),
                Column(
                    "tenant_id",
                    postgresql.UUID(as_uuid=True),
                    ForeignKey(Tenant.__table__.c.id, name="fk_tenant_roles_tenant", ondelete="CASCADE"),
                    nullable=False,
                ),
                Column("bound_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
                Index("idx_tenant_roles_tenant_id", "tenant_id"),
                schema=program,
            ).primary_key.name = "pk_tenant_roles"
        case "signed":
            Table(
                TABLES["signed"],
                metadata,
                Column("which", Text, primary_key=True),
                Column("inner_pad", LargeBinary, nullable=False),
                Column("outer_pad", LargeBinary, nullable=False),
                Column("since", DateTime(timezone=True), nullable=False, server_default=text("now()")),
                CheckConstraint("which IN ('current', 'previous')", name="ck_tenant_keys_which"),
                CheckConstraint("length(inner_pad) = 64", name="ck_tenant_keys_inner"),
                CheckConstraint("length(outer_pad) = 64", name="ck_tenant_keys_outer"),
                schema=program,
            ).primary_key.name = "pk_tenant_keys"
        case _:
            pass
    return metadata
