"""Which functions of the program may an application call?"""

from __future__ import annotations

from typing import Final

QUESTIONS: Final = (
    "current_tenant",
    "current_actor",
    "mask_of",
    "can",
    "can_many",
    "permissions_of",
    "who_can",
    "tenants_of",
    "sidebar",
    "why",
    "state_of",
    "standing",
    "catalogue",
    "versions_of",
    "may_grant",
)
"""What an application may call; the rest is for the triggers, and for who administers."""
