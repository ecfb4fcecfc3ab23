"""What do all RBAC models share? One MetaData with the names the database uses, and the columns that recur."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from sqlalchemy import DateTime, ForeignKey, MetaData, Text, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import DeclarativeBase, mapped_column

NAMING_CONVENTION: Final = {
    # PostgreSQL's own choice, so that the keys of a legacy database need no renaming.
    "pk": "%(table_name)s_pkey",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "ix": "idx_%(column_0_N_label)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    # Foreign keys are named after what they point at (fk_profiles_tenant), which a template cannot know.
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
}
"""How a constraint or index is called where the model does not say."""

OWNED: Final = "all, delete-orphan"
"""The ORM's side of ``ON DELETE CASCADE``. With ``passive_deletes`` what is not loaded is left to the database."""


class Base(DeclarativeBase):
    """The base of the RBAC models; they live in the first schema of the search path."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it as a plain attribute
        UUID: postgresql.UUID(as_uuid=True),
        str: Text,
        datetime: DateTime(timezone=True),
    }


UuidKey = Annotated[UUID, mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))]
Timestamp = Annotated[datetime, mapped_column(server_default=text("now()"))]


def to_tenant(name: str, on_delete: str = "CASCADE") -> ForeignKey:
    """Make the foreign key that ties a row to its tenant.

    Args:
        name: the constraint's name.
        on_delete: what happens to the row when its tenant goes.

    Returns:
        The constraint, for ``mapped_column``.
    """
    return ForeignKey("tenants.id", name=name, ondelete=on_delete)
