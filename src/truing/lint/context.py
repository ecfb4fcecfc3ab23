"""What does a rule know besides the fact it looks at? The configuration, with its table patterns already read."""

from __future__ import annotations

import msgspec

from truing.config import Config
from truing.patterns import TablePattern, TablePatterns, table_patterns


class Declared(msgspec.Struct, frozen=True):
    """A trigger that a program of truing declares on a table of other people, who know of it.

    Attributes:
        subject: as findings print it.
        ending: how its definition ends: the function that it calls.
    """

    subject: str
    ending: str


class Context(msgspec.Struct, frozen=True):
    """What rules know.

    Attributes:
        config: the configuration.
        forbidden: the tables that must not be referenced.
        unmanaged: the tables (views, functions) of other people.
        declared: what programs of truing have on forbidden tables, as their documentation says.
    """

    config: Config
    forbidden: TablePatterns
    unmanaged: TablePatterns
    declared: frozenset[Declared] = frozenset()

    def is_unmanaged(self, schema: str | None, name: str) -> TablePattern | None:
        """Return the pattern that makes this object other people's; None when it is ours."""
        return self.unmanaged.match(schema, name)


def make_context(
    config: Config, search_path: tuple[str, ...] | None = None, declared: frozenset[Declared] = frozenset()
) -> Context:
    """Make the context of a run.

    Args:
        config: the configuration.
        search_path: of the live database, where there is one; else the configuration's.
        declared: what programs of truing have on forbidden tables.

    Raises:
        ConfigurationError: a pattern cannot be read.
    """
    path = config.search_path if search_path is None else search_path
    where = f"{config.file}: " if config.file else ""
    return Context(
        config,
        table_patterns(config.forbidden_tables, path, source=f"{where}forbidden-tables"),
        table_patterns(config.unmanaged, path, source=f"{where}unmanaged"),
        declared,
    )
