"""What does a difference do? The kind of the object and the attribute go in, a tier comes out."""

from __future__ import annotations

import re
from typing import Final

from truing.catalog.diff import Difference
from truing.drift.model import Tier

_EVERYWHERE: Final = {
    "name": Tier.NAME,
    "comment": Tier.COSMETIC,
    "tablespace": Tier.COSMETIC,
    "owner": Tier.SECURITY,
    "inherited": Tier.COSMETIC,
    "local": Tier.COSMETIC,
    "dimensions": Tier.COSMETIC,
}

_OF: Final[dict[str, dict[str, Tier]]] = {
    # Whoever asks for it by its other name is refused.
    "table": {
        "": Tier.BREAKS_WRITES,
        "name": Tier.BREAKS_WRITES,
        "row security": Tier.SECURITY,
        "force row security": Tier.SECURITY,
        "options": Tier.PERFORMANCE,
        "access method": Tier.PERFORMANCE,
        "partition key": Tier.BREAKS_WRITES,
        "partition bound": Tier.BREAKS_WRITES,
        "kind": Tier.BREAKS_WRITES,
        "parents": Tier.BREAKS_WRITES,
    },
    "column": {
        "": Tier.BREAKS_WRITES,
        "name": Tier.BREAKS_WRITES,
        "type": Tier.BREAKS_WRITES,
        "not null": Tier.BREAKS_WRITES,
        "identity": Tier.BREAKS_WRITES,
        "generated": Tier.BREAKS_WRITES,
        "storage": Tier.PERFORMANCE,
        "compression": Tier.PERFORMANCE,
        "statistics": Tier.PERFORMANCE,
        "options": Tier.PERFORMANCE,
    },
    "index": {"replica identity": Tier.BEHAVIOUR},
    "sequence": {"": Tier.BREAKS_WRITES},
    "type": {
        "": Tier.BREAKS_WRITES,
        "name": Tier.BREAKS_WRITES,
        "labels": Tier.BREAKS_WRITES,
        "base": Tier.BREAKS_WRITES,
        "not null": Tier.BREAKS_WRITES,
        "kind": Tier.BREAKS_WRITES,
    },
    # Its comment and its limits are whoever runs the server's to say.
    "database": {"definition": Tier.COSMETIC},
    "function": {"security definer": Tier.SECURITY},
    "view": {"name": Tier.BEHAVIOUR},
}

_KIND: Final = {
    "constraint": Tier.WEAKER_INTEGRITY,
    "index": Tier.PERFORMANCE,
    "statistics": Tier.PERFORMANCE,
    "policy": Tier.SECURITY,
    "default privileges": Tier.SECURITY,
    "security label": Tier.SECURITY,
    "user mapping": Tier.SECURITY,
}


_STORED: Final = re.compile(r" WITH \([^()]*\)")
_KEY: Final = re.compile(r"(PRIMARY KEY|UNIQUE|UNIQUE NULLS NOT DISTINCT) \((.+?)\)(.*)", re.DOTALL)


def _columns(definition: str) -> tuple[str, list[str], str] | None:
    """Take a key apart, its columns in an order of ours."""
    found = _KEY.fullmatch(definition)
    return None if found is None else (found[1], sorted(found[2].split(", ")), found[3])


def tier(difference: Difference) -> Tier:
    """Say what a difference does, whichever side lacks what the other has."""
    kind, attribute = difference.kind, difference.attribute
    said = (difference.before or "", difference.after or "")
    if attribute.startswith("privileges"):
        return Tier.SECURITY
    if attribute.startswith("not null constraint"):
        return Tier.WEAKER_INTEGRITY
    found = _OF.get(kind, {}).get(attribute) or _EVERYWHERE.get(attribute)
    if found is not None:
        return found
    if kind == "column" and attribute == "default" and None in (difference.before, difference.after):
        # Who counts on it writes rows without the column.
        return Tier.BREAKS_WRITES
    # How full its pages are is no matter of what an index lets in.
    unique = (
        any(text.startswith(("CREATE UNIQUE INDEX", "UNIQUE")) for text in said)
        and len({_STORED.sub("", text) for text in said}) > 1
    )
    if kind == "index" and (unique or attribute in {"unique", "nulls not distinct"}):
        return Tier.WEAKER_INTEGRITY
    if kind == "constraint" and attribute == "definition" and _columns(said[0]) == _columns(said[1]) is not None:
        # The same rows are refused, but the index serves other queries.
        kind = "index"
    return _KIND.get(kind, Tier.BEHAVIOUR)
