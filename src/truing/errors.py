"""Everything truing raises on purpose: one base class, one class for each failure.

The docstring of a class is its default message; details are fields, never parsed out of a string again. ``hint``
says what a person can do. Front ends turn a :class:`TruingError` into its message and exit code 2, never a traceback.
"""

from __future__ import annotations

from typing import Any, ClassVar


class TruingError(Exception):
    """Something truing needs is not as it must be."""

    hint: ClassVar[str] = ""

    def __init__(self, message: str = "", *, hint: str = "", **fields: Any) -> None:
        self.message = message or (type(self).__doc__ or "").strip().split("\n\n")[0]
        self.advice = hint or type(self).hint
        self.fields = fields
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message}\n  {self.advice}" if self.advice else self.message


class UsageError(TruingError):
    """The command was not given what it needs."""


class ConfigurationError(TruingError):
    """A setting in the configuration is not usable."""


class ConnectionFailedError(TruingError):
    """The database cannot be reached."""


class ServerError(TruingError):
    """No PostgreSQL server could be started."""


class MissingExtensionError(ServerError):
    """The server has not got an extension that is needed; its name is in the field ``extension``."""


class ProjectError(TruingError):
    """The Alembic project cannot be read."""


class RevisionError(TruingError):
    """A revision cannot be read, recorded or run."""


class CatalogError(TruingError):
    """The catalog of the database cannot be read."""


class SqlSyntaxError(TruingError):
    """A statement is not valid PostgreSQL."""


class OnlineError(TruingError):
    """An online operation cannot go on."""


class UnsupportedChangeError(OnlineError):
    """The change cannot be carried out online; nothing was changed."""


class LockBudgetExceededError(OnlineError):
    """The lock could not be had within its budget; what was done so far is kept and a rerun goes on from there."""


class RivalRunnerError(OnlineError):
    """Another process is running this operation."""


class PoolerError(OnlineError):
    """The connection goes through a transaction pooler, which session locks do not survive."""

    hint = "Give truing a direct connection to PostgreSQL (not PgBouncer in transaction mode)."


class DirtyDataError(OnlineError):
    """Rows do not fit the new definition and the revision's policy for them is `fail`."""


class InterruptedRunError(OnlineError):
    """Stopped between two steps as asked; nothing is half done. Run the same command again to go on."""


class AccessError(TruingError):
    """The RBAC database refused a change of who may do what."""


class UnknownRoleError(AccessError):
    """The tenant has no role of this name."""


class UnknownProfileError(AccessError):
    """The tenant has no such profile."""


class GrantRefusedError(AccessError):
    """A profile may not hand out or take back this role."""


class LoginRefusedError(AccessError):
    """The login of this connection may not do this."""

    hint = "An application asks with a login in app_user, and grants over another one, in rbac_admin."


class NoProgramError(AccessError):
    """The database has no functions of truing to ask."""

    hint = "Run `truing rbac install`, or `truing rbac init` for a new database; or name their schema with program=."


class ImpersonationRefusedError(AccessError):
    """A profile may not act as another."""


class PermissionDeniedError(AccessError):
    """The profile does not have the permission."""
