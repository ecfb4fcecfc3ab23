"""What truing says to a person."""

from __future__ import annotations

from enum import StrEnum
from hashlib import sha256

import msgspec


class Severity(StrEnum):
    """How much a finding matters. ``ERROR`` and above make a check fail by default."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    @property
    def rank(self) -> int:
        """A number that grows with the severity."""
        return list(Severity).index(self)


class Location(msgspec.Struct, frozen=True):
    """Where in the person's own files a finding comes from. ``line`` counts from 1."""

    file: str
    line: int = 1


class Evidence(msgspec.Struct, frozen=True):
    """What was seen: a label, a value, and the query that shows it again."""

    label: str
    value: str
    query: str = ""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a person should know.

    Attributes:
        rule: the rule's name, for example ``forbidden-table-reference``.
        severity: how much it matters.
        subject: what it is about, for example ``public.profiles.tenant_id``.
        message: what happens, to whom.
        location: the file and line that caused it.
        evidence: what was seen.
        remedy: what to do instead, ready to paste.
        revision: the Alembic revision it belongs to.
        about: what of the subject, where it can be wrong in several ways at once: who knows one knows not the others.
    """

    rule: str
    severity: Severity
    subject: str
    message: str
    location: Location | None = None
    evidence: tuple[Evidence, ...] = ()
    remedy: str = ""
    revision: str = ""
    about: str = ""

    @property
    def fingerprint(self) -> str:
        """A stable name of this finding, for baselines: it does not depend on lines or counts (16 hex digits)."""
        # File names may hold what UTF-8 cannot.
        text = "\0".join((self.rule, self.subject, self.revision, *filter(None, (self.about,))))
        return sha256(text.encode(errors="backslashreplace")).hexdigest()[:16]
