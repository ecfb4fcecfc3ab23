"""How is the data directory of a stopped server put into one piece of bytes, and taken out again?

In: the directory, or the bytes. Out: the other. Most files of a database are those of every other one, so that each
content is there once; it is compressed as little as gzip can, which is fast. What is cut off or changed is refused.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Final

import msgspec

from truing.errors import ServerError

_GZIP: Final = 31
"""``wbits`` of zlib for a gzip stream, which has a checksum and a length at its end."""

_LEFT_OUT: Final = frozenset({"postmaster.pid", "postmaster.opts", "postgresql.auto.conf"})


class _Index(msgspec.Struct, frozen=True):
    """What is in an archive.

    Attributes:
        folders: below the data directory, each after the one that it is in.
        files: path below the data directory, and the number of its content.
        sizes: of each content, one after the other.
    """

    folders: tuple[str, ...]
    files: tuple[tuple[str, int], ...]
    sizes: tuple[int, ...]


def pack(data: Path, most: int) -> bytes | None:
    """Put a data directory into one piece.

    Args:
        data: of a server that was stopped as it should be.
        most: how many bytes its files may have.

    Returns:
        The archive; None where there is more, or something that is no file (a tablespace is a link).
    """
    folders: list[str] = []
    files: list[tuple[str, int]] = []
    contents: dict[bytes, int] = {}
    left = most
    for place, below, names in os.walk(data):
        relative = os.path.relpath(place, data)
        if any(Path(place, each).is_symlink() for each in (*below, *names)):
            return None
        folders += [relative] if relative != "." else []
        for name in names:
            if name in _LEFT_OUT:
                continue
            content = Path(place, name).read_bytes()
            if content not in contents:
                left -= len(content)
                if left < 0:
                    return None
            files.append((os.path.normpath(f"{relative}/{name}"), contents.setdefault(content, len(contents))))
    index = msgspec.json.encode(_Index(tuple(folders), tuple(files), tuple(map(len, contents))))
    stream = zlib.compressobj(level=1, wbits=_GZIP)
    parts = [stream.compress(len(index).to_bytes(8, "big") + index), *map(stream.compress, contents), stream.flush()]
    return b"".join(parts)


def unpack(archive: bytes, data: Path) -> None:
    """Fill an empty folder with what was packed.

    Args:
        archive: what :func:`pack` gave.
        data: a folder of ours, which nobody else can write into.

    Raises:
        ServerError: it is not whole, or nothing that was packed here.
        OSError: a file cannot be written.
    """
    try:
        stream = zlib.decompressobj(wbits=_GZIP)
        whole = memoryview(stream.decompress(archive))
        if not stream.eof or stream.unused_data:
            raise ServerError("The archive of a data directory is not whole.")
        end = 8 + int.from_bytes(whole[:8], "big")
        index = msgspec.json.decode(whole[8:end], type=_Index)
    except (zlib.error, msgspec.MsgspecError) as error:
        raise ServerError(f"The archive of a data directory cannot be read: {error}.") from error
    contents = []
    for size in index.sizes:
        contents.append(whole[end : end + size])
        end += size
    for folder in index.folders:
        _within(data, folder).mkdir(mode=0o700)
    for file, number in index.files:
        # What a server's user alone may read, as initdb makes it.
        descriptor = os.open(_within(data, file), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb", buffering=0) as opened:  # noqa: PTH123 - a descriptor
            opened.write(contents[number])


def _within(data: Path, relative: str) -> Path:
    if relative.startswith("/") or ".." in relative.split("/"):
        raise ServerError("The archive of a data directory names a file outside of it.")
    return data / relative
