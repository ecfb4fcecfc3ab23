"""The models that an invocation is about: those of the configuration, else those of ``env.py``; loaded once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from truing.cli.options import Invocation

if TYPE_CHECKING:
    from sqlalchemy import MetaData


class Models(msgspec.Struct, frozen=True):
    """The models, and what SQLAlchemy warned of while they were loaded, which it says once in a process."""

    metadatas: tuple[MetaData, ...]
    warnings: tuple[str, ...] = ()


def load_models(invocation: Invocation) -> Models:
    """Load the models; none where neither the configuration nor ``env.py`` names any.

    Raises:
        ConfigurationError: what ``metadata`` names cannot be loaded.
        ProjectError: there is no project to ask, or its ``env.py`` fails.
    """
    from truing.cli.database import project
    from truing.revisions.metadata import load_metadata
    from truing.revisions.models import collected_warnings

    names = invocation.config.metadata
    with collected_warnings() as warnings:
        if names:
            found = tuple(load_metadata(name, invocation.config.folder) for name in names)
        else:
            target = project(invocation).context_options().get("target_metadata")
            several = target if isinstance(target, list | tuple) else (target,)
            found = tuple(each for each in several if each is not None)
    return Models(found, tuple(warnings))


def require_models(invocation: Invocation) -> tuple[MetaData, ...]:
    """Return the models.

    Raises:
        ProjectError: there are none.
    """
    from truing.errors import ProjectError

    if not invocation.models.metadatas:
        raise ProjectError(
            "No models are known: env.py has no target_metadata.",
            hint='Set target_metadata in env.py, or metadata = ["app.models:Base"] in [tool.truing].',
        )
    return invocation.models.metadatas


def has_models(invocation: Invocation) -> bool:
    """Tell whether there are models to look at; so also where they fail to load, which a check shall say."""
    from truing.cli.database import optional_project
    from truing.errors import TruingError

    if invocation.config.metadata:
        return True
    if optional_project(invocation) is None:
        return False
    try:
        return bool(invocation.models.metadatas)
    except TruingError:
        return True
