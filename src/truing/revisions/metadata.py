"""Which MetaData does this name mean? ``module:attribute`` goes in, the models' tables come out."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy import MetaData

from truing.errors import ConfigurationError


def load_metadata(name: str, folder: Path) -> MetaData:
    """Import models.

    Args:
        name: ``module:attribute``, a MetaData or a declarative base; dots in the attribute are followed.
        folder: where modules are looked for first.

    Raises:
        ConfigurationError: there is no such module or attribute, or it is no MetaData.
    """
    module, _, attribute = name.partition(":")
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    try:
        found: Any = import_module(module)
        for part in filter(None, attribute.split(".")):
            found = getattr(found, part)
    except Exception as error:
        raise ConfigurationError(
            f"metadata = {name!r} cannot be loaded: {type(error).__name__}: {error}",
            hint="Write module:attribute, for example app.models:Base.",
        ) from error
    found = getattr(found, "metadata", found)
    if not isinstance(found, MetaData):
        raise ConfigurationError(
            f"metadata = {name!r} is neither a MetaData nor a declarative base.",
            hint="Write module:attribute, for example app.models:Base.",
        )
    return found
