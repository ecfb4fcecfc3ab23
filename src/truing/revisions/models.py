"""Which models are there? ``module:attribute`` or the project's ``env.py`` in; MetaData objects and their mappers out.

Loading other people's modules runs them: whatever they raise becomes one clear error, and what SQLAlchemy warns of
meanwhile is collected, since that is said once in a process and never again.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import MetaData, Table
from sqlalchemy.exc import SADeprecationWarning, SAWarning
from sqlalchemy.orm import Mapper, registry
from sqlalchemy.orm.mapper import _all_registries

from truing.errors import ProjectError
from truing.revisions.failure import failure


@contextmanager
def collected_warnings() -> Iterator[list[str]]:
    """Collect what SQLAlchemy warns of, instead of printing or raising it.

    Yields:
        The texts, each once, in order; filled when the block ends.
    """
    texts: list[str] = []
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", SAWarning)
        warnings.simplefilter("ignore", SADeprecationWarning)
        yield texts
    for each in seen:
        if issubclass(each.category, SAWarning):
            texts.append(str(each.message))
        else:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    texts[:] = dict.fromkeys(texts)


def mappers_of(metadatas: Iterable[MetaData]) -> tuple[Mapper[Any], ...]:
    """Find the mappers whose tables are in these MetaData, configured, parents before children.

    Args:
        metadatas: as ``env.py`` has them in ``target_metadata``.

    Raises:
        ProjectError: the mappers cannot be configured.
    """
    wanted = {id(each) for each in metadatas}
    found: list[Mapper[Any]] = []
    # SQLAlchemy has no public way from a MetaData to the mappers that use it. One registry may hold mappers of several
    # MetaData (abstract bases with one of their own), hence the look at each mapper's own tables.
    for each in list(_all_registries()):
        if not _is_about(each, wanted):
            continue
        try:
            each.configure(cascade=True)
        except Exception as error:
            raise ProjectError(
                f"The models cannot be configured: {failure(error).sentence}",
                hint="The application fails in the same way at its first query.",
            ) from error
        found += [one for one in mapped_in(each) if any(_belongs(table, wanted) for table in one.tables)]
    return tuple(sorted(found, key=_depth))


def _is_about(asked: registry, wanted: set[int]) -> bool:
    if id(asked.metadata) in wanted:
        return True
    return any(_belongs(table, wanted) for mapper in mapped_in(asked) for table in mapper.tables)


def mapped_in(asked: registry) -> list[Mapper[Any]]:
    """Give the mappers there are; classes that are mapped later, or never, have none (``DeferredReflection``)."""
    return [manager.mapper for manager in list(asked._managers) if manager.is_mapped]  # noqa: SLF001 - `mappers` would raise


def _belongs(table: object, wanted: set[int]) -> bool:
    return isinstance(table, Table) and id(table.metadata) in wanted


def _depth(mapper: Mapper[Any]) -> tuple[int, str, str]:
    return len(list(mapper.iterate_to_root())), mapper.class_.__module__, mapper.class_.__qualname__
