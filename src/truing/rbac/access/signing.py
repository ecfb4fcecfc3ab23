"""How does an application say its tenant so that the database believes it? With a signature that only it can make.

In: a tenant and a secret. Out: the value of the setting, ``tenant.expiry.hmac``, which ``current_tenant()`` checks
where the program is bound by ``signed``. SQL that somebody smuggled in can read that value, but not the secret, which
the application's role cannot reach in the database.
"""

from __future__ import annotations

import hmac
import time
from typing import Final
from uuid import UUID

from truing.errors import UsageError

LIFETIME: Final = 60
"""For how many seconds a signed tenant may begin transactions."""

SHORTEST: Final = 32
"""Bytes of a secret: as many as the digest has."""


def sign(tenant_id: UUID, secret: bytes, *, lifetime: float = LIFETIME) -> str:
    """Sign a tenant.

    Args:
        tenant_id: the tenant, from where it was verified.
        secret: the one of ``rotate_tenant_key()``, or the one before.
        lifetime: for how many seconds it may begin transactions; one that has begun goes on.

    Returns:
        The value for the setting.

    Raises:
        UsageError: the tenant is no UUID, the secret is too short, or the lifetime is not positive.
    """
    if not isinstance(tenant_id, UUID):
        raise UsageError(f"A tenant is a uuid.UUID, not {tenant_id!r}.", hint="Make it with uuid.UUID(...).")
    if len(secret) < SHORTEST:
        raise UsageError(
            f"A secret has at least {SHORTEST} bytes, not {len(secret)}.", hint="Make one with secrets.token_bytes(32)."
        )
    if lifetime <= 0:
        raise UsageError(f"A lifetime is more than 0 seconds, not {lifetime:g}.")
    message = f"{tenant_id}.{int(time.time() + lifetime)}"
    return f"{message}.{hmac.digest(secret, message.encode(), 'sha256').hex()}"
