"""What is to be compared, and how? Values only: known before anything is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from truing.config import PlatformName


class Base(msgspec.Struct, frozen=True, kw_only=True):
    """What the revisions begin with.

    Attributes:
        name: where it comes from, for a message; never with a password.
        text: the SQL that builds it.
        revisions: what it is stamped with before the other revisions run; empty where the SQL says so itself, or
            where all revisions come after it.
    """

    name: str
    text: str
    revisions: tuple[str, ...] = ()


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What to compare, and how.

    Attributes:
        models: compare the models.
        migrations: compare what the migrations build.
        metadata: the models as ``module:attribute``; empty for those of ``env.py``.
        folder: where modules are looked for.
        unmanaged: patterns of other people's tables.
        search_path: the schemas that these mean by a name without one, where no database can be asked.
        platform: whose PostgreSQL the live database is on.
        scratch_url: a server to build on, instead of a private one.
        base: what is there before the first revision.
        tenant_schemas: the live database's schemas that are one model's; None where there are none such.
        tenant_model_schema: what models and migrations call them; None for the first of the search path.
        cache: look for earlier builds, and keep these.
        fixes: write and try what would bring the sides together.
    """

    models: bool = True
    migrations: bool = True
    metadata: tuple[str, ...] = ()
    folder: str = ""
    unmanaged: tuple[str, ...] = ()
    search_path: tuple[str, ...] = ("public",)
    platform: PlatformName | None = None
    scratch_url: str | None = None
    base: Base | None = None
    tenant_schemas: str | None = None
    tenant_model_schema: str | None = None
    cache: bool = True
    fixes: bool = True
