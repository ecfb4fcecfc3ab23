"""What does the project's configuration say of its RBAC database? ``[tool.truing.rbac]`` of ``pyproject.toml``.

Revisions, models and commands read it here, so that what is installed, declared and compared is one thing.
"""

from __future__ import annotations

import msgspec

from truing.config import Config, load_config
from truing.rbac.program.binding import Binding


class Settings(msgspec.Struct, frozen=True, rename="kebab", forbid_unknown_fields=True, kw_only=True):
    """How the RBAC database of this project is made; `-x NAME=VALUE` of Alembic counts more.

    Attributes:
        binding: what ties a transaction to its tenant: `setting`, `role`, `signed` or `supabase`. As it is where
            nothing is said, and at first the setting. (`-x binding=`; `-x profile=supabase` is `binding=supabase`)
        claim: the claim that names the tenant under `supabase`; `app_metadata.tenant_id` without it. (`-x claim=`)
        setting: the setting that holds the tenant; `app.tenant_id` without it. (`-x setting=`)
        program: the schema of the functions; `rbac` without it. (`-x program=`)
        application: the role that reads and asks; `app_user` without it, and Supabase's `authenticated`.
            (`-x app_role=`)
        administrator: the role that writes; `rbac_admin`, and Supabase's `service_role`. (`-x admin_role=`)
        migration: the role that sees every row; `rbac_migration` without it. (`-x migration_role=`)
    """

    binding: Binding | None = None
    claim: str | None = None
    setting: str | None = None
    program: str | None = None
    application: str | None = None
    administrator: str | None = None
    migration: str | None = None

    @property
    def told(self) -> dict[str, str]:
        """What is said, under the names that the revisions know it by."""
        return {_NAMES.get(name, name): value for name, value in msgspec.structs.asdict(self).items() if value}


_NAMES = {"application": "app_role", "administrator": "admin_role", "migration": "migration_role"}


def settings_of(config: Config) -> Settings:
    """Read the table of a configuration.

    Raises:
        ConfigurationError: a key is unknown, or a value is of the wrong type.
    """
    return config.section("rbac", Settings)


def configured() -> Settings:
    """Read that of the nearest ``pyproject.toml``; empty where there is none.

    Raises:
        ConfigurationError: it cannot be read.
    """
    return settings_of(load_config())
