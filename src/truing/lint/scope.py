"""Which revisions does a run look at? Projects that adopt truing late have old ones, which nobody will change."""

from __future__ import annotations

from collections.abc import Sequence

from truing.config import Config
from truing.errors import ConfigurationError
from truing.revisions.record import Revision
from truing.rule import did_you_mean


def later_revisions(config: Config, revisions: Sequence[Revision]) -> tuple[str, ...]:
    """Choose the revisions to look at: all that are neither ``start-after`` nor among those that it follows.

    Args:
        config: with ``start-after`` and ``per-revision-ignores``.
        revisions: all of the project, each after those that it follows.

    Raises:
        ConfigurationError: a revision that the configuration names is not there.
    """
    following = {each.revision: each.down_revisions for each in revisions}
    for name in config.per_revision_ignores:
        _known(name, following, config, "per-revision-ignores")
    if config.start_after is None:
        return tuple(following)
    before: set[str] = set()
    waiting = [_known(config.start_after, following, config, "start-after")]
    while waiting:
        name = waiting.pop()
        if name not in before:
            before.add(name)
            waiting += following.get(name, ())
    return tuple(name for name in following if name not in before)


def _known(name: str, revisions: dict[str, tuple[str, ...]], config: Config, key: str) -> str:
    if name in revisions:
        return name
    hint = did_you_mean(name, revisions)
    raise ConfigurationError(
        f"{config.file + ': ' if config.file else ''}{key} names no revision of the project: {name!r}",
        hint=hint if hint.startswith("Did you mean") else "Write it in full; alembic history lists them.",
    )
