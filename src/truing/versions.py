"""What each PostgreSQL major can do: the one table that the rest of the code asks by name."""

from __future__ import annotations

from typing import Final

import msgspec

OLDEST_SUPPORTED: Final = 14
"""The oldest major that truing is tested with; its community support ended in November 2026."""


class PostgresVersion(msgspec.Struct, frozen=True, order=True):
    """The version of a server.

    Attributes:
        number: ``server_version_num``, for example 180006.
    """

    number: int

    @property
    def major(self) -> int:
        """The major version, for example 18."""
        return self.number // 10000

    def has(self, capability: str) -> bool:
        """Tell whether this server has a capability of :data:`CAPABILITIES`.

        Raises:
            KeyError: no such capability is known, which is a mistake of ours.
        """
        return self.major >= CAPABILITIES[capability]

    def __str__(self) -> str:
        return f"{self.major}.{self.number % 10000}"


CAPABILITIES: Final[dict[str, int]] = {
    "fk-set-null-columns": 15,  # FOREIGN KEY ... ON DELETE SET NULL (column)
    "nulls-not-distinct": 15,
    "publication-columns": 15,  # column lists, row filters and FOR TABLES IN SCHEMA
    "security-invoker-views": 15,
    "grant-set-on-parameter": 15,
    "input-is-valid": 16,  # pg_input_is_valid(), so that a check of a value needs no exception block
    "transaction-timeout": 17,
    "maintain-privilege": 17,
    "not-null-not-valid": 18,  # ADD CONSTRAINT ... NOT NULL column NOT VALID
    "not-enforced": 18,
    "virtual-generated": 18,
}
"""Capability -> the first major that has it (release notes of that major)."""
