"""Which findings are known already? A file of fingerprints, for those who adopt truing late; findings in, new ones out.

The file is for review: sorted JSON, each entry with its rule and subject. An entry belongs to the check that wrote it,
so one file serves lint, drift and orm: each judges its own entries only, and only after it has looked at everything.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from truing.errors import ConfigurationError
from truing.finding import Finding


class Entry(msgspec.Struct, frozen=True, order=True, forbid_unknown_fields=True):
    """One known finding; only the fingerprint is compared."""

    check: str
    rule: str
    subject: str
    fingerprint: str
    revision: str = ""
    about: str = ""


class Baseline(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of a file."""

    version: Literal[1] = 1
    findings: tuple[Entry, ...] = ()

    def of(self, check: str) -> tuple[Entry, ...]:
        """Return the entries of a check."""
        return tuple(entry for entry in self.findings if entry.check == check)


class Compared(msgspec.Struct, frozen=True):
    """What a baseline says about findings.

    Attributes:
        new: those that it does not know.
        known: how many it knows.
        stale: its entries that match nothing any more; none where not everything was looked at.
    """

    new: tuple[Finding, ...]
    known: int
    stale: tuple[Entry, ...]


def compare(baseline: Baseline, check: str, findings: Iterable[Finding], *, complete: bool) -> Compared:
    """Take out what is known.

    Args:
        baseline: what is known.
        check: the check that found these.
        findings: what it found.
        complete: whether it looked at everything, so that an entry without a finding is stale.
    """
    found = tuple(findings)
    entries = baseline.of(check)
    known = {entry.fingerprint for entry in entries}
    new = tuple(finding for finding in found if finding.fingerprint not in known)
    seen = {finding.fingerprint for finding in found}
    stale = tuple(entry for entry in entries if complete and entry.fingerprint not in seen)
    return Compared(new, len(found) - len(new), stale)


def updated(baseline: Baseline, check: str, findings: Iterable[Finding], *, complete: bool) -> Baseline:
    """Know all these findings from now on; other checks' entries stay, as do all where not everything was looked at."""
    kept = [entry for entry in baseline.findings if entry.check != check or not complete]
    found = [_entry(check, finding) for finding in findings]
    return Baseline(findings=tuple(sorted({*kept, *found})))


def _entry(check: str, finding: Finding) -> Entry:
    rule, subject, revision, about = map(_whole, (finding.rule, finding.subject, finding.revision, finding.about))
    return Entry(check, rule, subject, finding.fingerprint, revision, about)


def _whole(text: str) -> str:
    # A subject may be a file's name, which may hold what UTF-8 cannot.
    return text.encode("utf-8", "backslashreplace").decode()


def read(file: Path) -> Baseline:
    """Read a baseline.

    Raises:
        ConfigurationError: it cannot be read, or is not one.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=Baseline)
    except OSError as error:
        raise ConfigurationError(
            f"The baseline {file} cannot be read: {error.strerror}", hint="Make it with --write-baseline."
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{file} is not a baseline of truing: {error}", hint="Make it anew with --write-baseline."
        ) from error


def write(file: Path, baseline: Baseline) -> None:
    """Write a baseline, one line for each value, so that a difference is read easily.

    Raises:
        ConfigurationError: the file cannot be written.
    """
    text = msgspec.json.format(msgspec.json.encode(baseline), indent=2).decode()
    try:
        file.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"The baseline {file} cannot be written: {error.strerror}") from error
