"""What is a writer told, and what does it tell? Values only: a :class:`Job` in, a :class:`Report` out."""

from __future__ import annotations

import uuid
from typing import Literal, TypeAlias

import msgspec

Release: TypeAlias = Literal["legacy", "roles", "isolated"]
"""What is deployed: the application as it was; the one that reads as one role and writes as another, which row security
needs; and the same once every table is closed, so that the probe may look at all of them."""


class Job(msgspec.Struct, frozen=True):
    """What a worker does.

    Attributes:
        dsn: the database.
        kind: ``service`` sees every row and writes ids in many spellings; ``tenant`` is an application session of one
            tenant under row level security; ``probe`` only looks, and reports any row it must not see.
        number: the writer's number.
        seed: makes its choices.
        rate: operations per second.
        tenants: the tenants it works with.
        profiles: profile -> tenant, the rows it owns (for the probe: the rows it must see, no more and no fewer).
        role: the role of a tenant's session.
        administrator: the role that writes, from release ``roles`` on.
        roles: role ids that may be granted, by tenant.
        wrong: the share of operations that are wrongful (:mod:`truing.demo.wrongs`).
        flag: a feature that nobody else sets.
    """

    dsn: str
    kind: Literal["service", "tenant", "probe"]
    number: int
    seed: int
    rate: float
    tenants: tuple[uuid.UUID, ...]
    profiles: dict[uuid.UUID, uuid.UUID]
    role: str = "app_user"
    administrator: str = "rbac_admin"
    roles: dict[uuid.UUID, int] = {}
    wrong: float = 0.0
    flag: uuid.UUID | None = None


class Failure(msgspec.Struct, frozen=True):
    """A statement that failed."""

    sqlstate: str
    message: str
    operation: str
    at: float


class Refusal(msgspec.Struct, frozen=True):
    """A wrongful write that was refused as it must be: which, by what, and when by the server's clock."""

    name: str
    by: str
    at: float


class Report(msgspec.Struct):
    """What a worker saw.

    Attributes:
        kind, number: of the job.
        reads: operations that only read.
        writes: operations that wrote.
        latencies: of every operation: when it was due (seconds since the epoch), how much later it was done (ms).
        failures: statements that failed.
        refusals: wrongful writes that were refused by what is there for it.
        disconnects: times the connection was lost.
        foreign: rows seen that belong to somebody else.
        missing: own rows not seen.
        closed_looks: of the probe, at all tables after they are closed.
    """

    kind: str
    number: int
    reads: int = 0
    writes: int = 0
    latencies: list[tuple[float, float]] = []
    failures: list[Failure] = []
    refusals: list[Refusal] = []
    disconnects: int = 0
    foreign: int = 0
    missing: int = 0
    closed_looks: int = 0
