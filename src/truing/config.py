"""What did the person configure? ``[tool.truing]`` of ``pyproject.toml`` -> a frozen :class:`Config`.

The file is looked for from the working directory upwards, or named by ``--config``. Every key is checked: a key that
is not known is refused with the file, the key and the nearest known key, since a misspelt setting that does nothing is
worse than none.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

import msgspec

from truing.errors import ConfigurationError
from truing.rule import did_you_mean

Section = TypeVar("Section", bound=msgspec.Struct)
FailOn: TypeAlias = Literal["info", "warning", "error", "never"]
PlatformName: TypeAlias = Literal["supabase"]


class Allowed(msgspec.Struct, frozen=True, rename="kebab", forbid_unknown_fields=True, kw_only=True):
    """``[[tool.truing.allow]]``: one finding that is all right, for what has no source line to put a comment on.

    Attributes:
        rule: the rule's name.
        subject: the finding's subject, exactly as it is printed.
        reason: why it is all right; required.
    """

    rule: str
    subject: str
    reason: str

    def __post_init__(self) -> None:
        """Refuse an empty reason."""
        if not self.reason.strip():
            raise ValueError("reason must say why this is all right")


class Config(msgspec.Struct, frozen=True, rename="kebab", forbid_unknown_fields=True, kw_only=True):
    """``[tool.truing]``.

    Attributes:
        database_url: the database, when neither an option nor the environment names one.
        alembic_config: the Alembic project's file, relative to the file of this configuration.
        metadata: the models, as ``module:attribute`` (a MetaData or a declarative base); several are fine.
        forbidden_tables: tables that must not be referenced.
        unmanaged: tables of other people, which are theirs to change: kept out of autogenerate, and references
            between them are nobody's business here.
        platform: whose PostgreSQL it is (`supabase`): what it makes by itself is no drift, and left out by name. Known
            where the binding is `supabase`.
        tenant_column: the column that says whose a row is, in every table that has it; None for a database without
            tenants.
        application_role: the role that the application connects as; None to leave its privileges alone.
        search_path: the schemas that an unqualified name stands for where no database can be asked.
        head: where the migrations end, as ``alembic upgrade`` takes it (``main@head``): for a folder of several
            histories, of which a database has one.
        base: what is there before the first revision, for ``truing drift``: a file (``schema.sql``) or the URL of a
            database.
        base_revision: the revision that the base is at; it and those below it are not run.
        tenant_schemas: the schemas of a live database that are one model's, a tenant in each (``tenant_*``).
        tenant_model_schema: what models and migrations call such a schema; the first of the search path by default.
        select: rules that are used.
        ignore: rules that are not used.
        allow: single findings that are all right.
        fail_on: the least severity that makes a command end with exit code 1.
        baseline: the file of known findings, relative to the file of this configuration.
        start_after: a revision; neither it nor what it follows is linted.
        per_revision_ignores: rules that are not used on some revisions: revision -> names or codes.
        online: ``[tool.truing.online]``, read by :meth:`section` (its keys belong to the runner).
        rbac: ``[tool.truing.rbac]``, likewise.
        file: the file this was read from; empty when there is none.
    """

    database_url: str | None = None
    alembic_config: str | None = None
    metadata: tuple[str, ...] = ()
    forbidden_tables: tuple[str, ...] = ("users", "auth.users")
    unmanaged: tuple[str, ...] = ("auth.*",)
    platform: PlatformName | None = None
    tenant_column: str | None = None
    application_role: str | None = None
    search_path: tuple[str, ...] = ("public",)
    head: str = "heads"
    base: str | None = None
    base_revision: str | None = None
    tenant_schemas: str | None = None
    tenant_model_schema: str | None = None
    select: tuple[str, ...] = ("ALL",)
    ignore: tuple[str, ...] = ()
    allow: tuple[Allowed, ...] = ()
    fail_on: FailOn = "error"
    baseline: str | None = None
    start_after: str | None = None
    per_revision_ignores: dict[str, tuple[str, ...]] = {}
    online: dict[str, Any] = {}
    rbac: dict[str, Any] = {}
    file: str = ""

    def section(self, name: Literal["online", "rbac"], struct: type[Section]) -> Section:
        """Read a table within ``[tool.truing]`` as the type of the layer that it belongs to.

        Raises:
            ConfigurationError: a key is unknown, or a value is of the wrong type.
        """
        return _convert(getattr(self, name), struct, f"{name}.", self.file or "the configuration")

    @property
    def folder(self) -> Path:
        """The folder that relative paths of the configuration start from."""
        return Path(self.file).parent if self.file else Path.cwd()


def load_config(path: Path | None = None, *, start: Path | None = None) -> Config:
    """Read the configuration.

    Args:
        path: the file a person named; it must have ``[tool.truing]``.
        start: the folder to look from, upwards; the working directory by default.

    Returns:
        The configuration; the defaults where no ``pyproject.toml`` has a ``[tool.truing]``.

    Raises:
        ConfigurationError: the file cannot be read, a key is unknown, or a value is of the wrong type.
    """
    if path is not None:
        table = _read(path)
        if table is None:
            raise ConfigurationError(f"{path} has no [tool.truing].", hint="Add the table, or leave --config out.")
        return parse_config(table, str(path.resolve()))
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        file = folder / "pyproject.toml"
        if file.is_file() and (table := _read(file)) is not None:
            return parse_config(table, str(file))
    return Config()


def _read(path: Path) -> dict[str, Any] | None:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigurationError(f"{path} cannot be read: {reason}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}") from error
    table = document.get("tool", {}).get("truing")
    if table is not None and not isinstance(table, dict):
        raise ConfigurationError(f"{path}: [tool.truing] must be a table.")
    return table


def parse_config(table: Mapping[str, Any], file: str = "") -> Config:
    """Check the content of ``[tool.truing]``.

    Args:
        table: as TOML gave it.
        file: where it came from, for messages and relative paths.

    Raises:
        ConfigurationError: a key is unknown, or a value is of the wrong type.
    """
    where = file or "the configuration"
    for number, entry in enumerate(table["allow"] if isinstance(table.get("allow"), list) else ()):
        if isinstance(entry, Mapping):
            _refuse_unknown(entry, Allowed, f"allow[{number}].", where)
    _refuse_unknown(table, Config, "", where)
    return msgspec.structs.replace(_convert(table, Config, "", where), file=file)


def _convert(table: Mapping[str, Any], struct: type[Section], prefix: str, where: str) -> Section:
    _refuse_unknown(table, struct, prefix, where)
    try:
        return msgspec.convert(table, struct)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        key = prefix + path.rstrip("`").lstrip(".")
        raise ConfigurationError(f"{where}: {key or '[tool.truing]'}: {message}") from error


def _refuse_unknown(table: Mapping[str, Any], struct: type[msgspec.Struct], prefix: str, where: str) -> None:
    known = [each.encode_name for each in msgspec.structs.fields(struct) if each.encode_name != "file"]
    for key in table:
        if key in known:
            continue
        # Underscores are the commonest slip, and difflib would sometimes find another key nearer.
        hint = did_you_mean(key.replace("_", "-"), known)
        raise ConfigurationError(f"{where}: unknown key {prefix}{key} in [tool.truing]", hint=hint)


def database_url(option: str | None, config: Config, environ: Mapping[str, str] | None = None) -> str | None:
    """Decide which database is meant, before Alembic's own ``sqlalchemy.url`` is asked.

    Args:
        option: the value of ``--database-url``.
        config: the configuration.
        environ: the environment; the process's own by default.

    Returns:
        The option, ``TRUING_DATABASE_URL``, ``DATABASE_URL`` or the configuration's, whichever comes first; None
        when the Alembic project decides. Nobody has looked yet whether it is the address of a database.
    """
    environment = os.environ if environ is None else environ
    named = (option, environment.get("TRUING_DATABASE_URL"), environment.get("DATABASE_URL"), config.database_url)
    return next(filter(None, named), None)
