"""Where are answers kept? In files of the user's own, found by their keys, and gone where they cannot be read."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

import msgspec

_KEPT_S: Final = 60 * 24 * 3600

_Kept = TypeVar("_Kept")


class Shelf:
    """Files in ``$XDG_CACHE_HOME/truing/drift``; one that is cut off, or of an older form, counts as not there."""

    def __init__(self, folder: Path | None = None) -> None:
        """Choose the folder; it is made with the first file."""
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self.folder = folder or home / "truing" / "drift"

    def get(self, key: str, kind: type[_Kept]) -> _Kept | None:
        """Find what was kept; None where there is nothing."""
        file = self.folder / f"{key}.json"
        try:
            found = msgspec.json.decode(file.read_bytes(), type=kind)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return None
        with suppress(OSError):
            os.utime(file)
        return found

    def put(self, key: str, value: object) -> None:
        """Keep something. A shelf that cannot be written is none, and no reason to fail."""
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            new = self.folder / f"{key}.{os.getpid()}.new"
            new.touch(mode=0o600)
            new.write_bytes(msgspec.json.encode(value))
            # Whoever reads meanwhile sees the old entry or the new one.
            new.replace(self.folder / f"{key}.json")
            self._forget()

    def _forget(self) -> None:
        """Take away what nobody has put or found for long: most keys never come again."""
        oldest = time.time() - _KEPT_S
        for file in (*self.folder.glob("*.json"), *self.folder.glob("*.new")):
            with suppress(OSError):
                if file.stat().st_mtime < oldest:
                    file.unlink()
