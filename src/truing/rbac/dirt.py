"""Which kinds of dirt does a text column of tenant ids collect, and what must become of each?

Data only: :data:`DIRTY_CLASSES` is what the generator of the legacy database plants, and what a proof checks.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

Fate: TypeAlias = Literal["clean", "normalised", "null", "empty", "malformed", "orphan"]
"""What the audit says of a value: ``clean`` and ``normalised`` keep their tenant, the others have none."""


class DirtyClass(msgspec.Struct, frozen=True):
    """One kind of value.

    Attributes:
        name: what it is called.
        fate: what the audit must say of it.
        expression: SQL that makes such a value out of ``t`` (the id of a tenant, as PostgreSQL prints it), ``u`` (the
            same of a tenant that does not exist) and ``i`` (the number of the row). It holds no percent sign, for
            drivers read those.
        limit: the most rows of it, where more would cost too much; 0 for as many as asked.
    """

    name: str
    fate: Fate
    expression: str
    limit: int = 0


CLEAN: Final = DirtyClass("clean", "clean", "t")

DIRTY_CLASSES: Final[tuple[DirtyClass, ...]] = (
    # PostgreSQL can read these, some once the outer blanks are gone: the very same tenant.
    DirtyClass("upper-case", "normalised", "upper(t)"),
    DirtyClass("braced", "normalised", "'{' || t || '}'"),
    DirtyClass("no-hyphens", "normalised", "replace(t, '-', '')"),
    DirtyClass("odd-hyphens", "normalised", r"rtrim(regexp_replace(replace(t, '-', ''), '(.{4})', '\1-', 'g'), '-')"),
    DirtyClass(
        "mixed-case-no-hyphens", "normalised", "upper(left(replace(t, '-', ''), 16)) || right(replace(t, '-', ''), 16)"
    ),
    DirtyClass("blank-padded", "normalised", "'  ' || t || ' '"),
    DirtyClass("tab-padded", "normalised", "chr(9) || t"),
    DirtyClass("newline-padded", "normalised", "t || chr(13) || chr(10)"),
    DirtyClass("padded-braced-upper-case", "normalised", "' {' || upper(t) || '} '"),
    # Nothing at all.
    DirtyClass("null", "null", "NULL::text"),
    DirtyClass("empty", "empty", "''"),
    DirtyClass("blanks-only", "empty", "' ' || chr(9) || chr(10)"),
    # Text that is no UUID.
    DirtyClass("word-default", "malformed", "'default'"),
    DirtyClass("word-null", "malformed", "'null'"),
    DirtyClass("tenant-name", "malformed", "'Tenant ' || i"),
    DirtyClass("truncated", "malformed", "left(t, 35)"),
    DirtyClass("37-characters", "malformed", "t || '0'"),
    DirtyClass("not-hexadecimal", "malformed", "overlay(t placing 'g' from 3 for 1)"),
    DirtyClass("urn", "malformed", "'urn:uuid:' || t"),
    DirtyClass("json-string", "malformed", "'\"' || t || '\"'"),
    DirtyClass("nbsp-padded", "malformed", "chr(160) || t || chr(160)"),
    DirtyClass("zero-width-space", "malformed", "t || chr(8203)"),
    DirtyClass("byte-order-mark", "malformed", "chr(65279) || t"),
    DirtyClass("nul-escape-hex", "malformed", r"t || '\x00'"),
    DirtyClass("nul-escape-unicode", "malformed", r"'\u0000' || t"),
    DirtyClass("full-width-digits", "malformed", "translate(t, '0123456789', '０１２３４５６７８９') || '９'"),  # noqa: RUF001
    DirtyClass("emoji", "malformed", "'🏢' || i"),
    DirtyClass("sql-injection", "malformed", "t || '''); DROP TABLE profiles; --'"),
    DirtyClass("one-megabyte", "malformed", "repeat('x', 1048576)", limit=1),
    # A UUID that no tenant has.
    DirtyClass("unknown-tenant", "orphan", "u"),
    DirtyClass("unknown-tenant-upper-case", "orphan", "upper(u)"),
    DirtyClass("unknown-tenant-padded", "orphan", "' ' || u || ' '"),
)
"""Every kind of dirt, in the order in which the generator plants it."""
