"""The directory of a ZIP archive such as torch.save writes: nothing compressed, nothing hidden.

A ZIP file describes each entry twice, before the entry and in a directory at the end, and readers
differ in what they believe. Here both must agree, and the entries, in order, must fill the file
from its first byte to the directory: no byte is shared, left over or out of reach. So no entry can
overlap another, no size can lie, and no second archive can hide in a gap.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from .refusal import Refused, damaged, quoted
from .source import Source

_MAX_ENTRIES = 60_000
_MAX_DIRECTORY = 16 << 20
_MAX_NAME = 300
_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_SATURATED = 0xFFFFFFFF  # the number stands in the ZIP64 record instead
_SATURATED_END = (_SATURATED, _SATURATED, 0xFFFF)
_SIZES_FOLLOW = 8  # flag: a descriptor of the sizes lies behind the entry
_HARMLESS_FLAGS = 0x800 | _SIZES_FOLLOW | 6  # UTF-8 names, and a compressor's level
_DESCRIPTORS = (0, 12, 16, 20, 24)


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of the archive: its bytes are ``size`` bytes of the file from ``at`` on."""

    at: int
    size: int


@dataclass(slots=True)
class _Claim:
    """What the directory says of an entry."""

    name: bytes
    flags: int
    size: int
    header: int


def entries(source: Source) -> dict[str, Entry]:
    """Return the entries by name, in the order of the file.

    Raises:
        Refused: the archive is compressed, encrypted, contradicts itself, has gaps, overlaps,
            names that lead elsewhere or twice the same, or too many entries.
    """
    start, size, count = _directory(source)
    claims = sorted(_claims(source.read(start, size), count), key=lambda claim: claim.header)
    found: dict[str, Entry] = {}
    expected = 0
    for number, claim in enumerate(claims):
        if claim.header != expected:
            raise damaged("is a ZIP archive whose entries overlap or leave gaps")
        at = _behind_header(source, claim)
        expected = claims[number + 1].header if number + 1 < len(claims) else start
        trailing = expected - at - claim.size
        if trailing not in (_DESCRIPTORS if claim.flags & _SIZES_FOLLOW else (0,)):
            raise damaged("is a ZIP archive whose entries overlap, leave gaps or lie about sizes")
        found[_tame(claim.name)] = Entry(at, claim.size)
    if len(found) != len(claims):
        raise damaged("is a ZIP archive with two entries of one name")
    return found


# --------------------------------------------------------------------------------- the directory


def _directory(source: Source) -> tuple[int, int, int]:
    """Return where the directory begins, its bytes and its entries; it ends where the end begins.

    torch writes no comment, so the end record is the last 22 bytes, and need not be searched.
    """
    if source.size < _END.size:
        raise damaged("is damaged or cut short")
    end = source.size - _END.size
    mark, disk, first, here, count, size, start, comment = _END.unpack(source.read(end, _END.size))
    if mark != b"PK\5\6" or comment or disk or first or here != count:
        raise damaged("is a ZIP archive that is cut short, or has something behind its end")
    large = _directory_64(source, end)
    if large is not None:
        end, *numbers = large
        for said, limit, true in zip((start, size, count), _SATURATED_END, numbers, strict=True):
            if said not in (limit, true):
                raise damaged("is a ZIP archive that says two things about its directory")
        start, size, count = numbers
    if count > _MAX_ENTRIES or size > _MAX_DIRECTORY:
        raise Refused(
            f"Expected at most {_MAX_ENTRIES:,} entries, but this ZIP archive has more. "
            "Save the network's state_dict alone."
        )
    if start + size != end:
        raise damaged("is a ZIP archive whose directory is not where it says")
    return start, size, count


def _directory_64(source: Source, end: int) -> tuple[int, int, int, int] | None:
    """The same from the ZIP64 record, where there is one: record, locator and end are neighbours.

    Also where it begins. Some versions of torch write it for small files as well.
    """
    locator = end - _LOCATOR_64.size
    place = locator - _END_64.size
    if place < 0:
        return None
    mark, disk, said, disks = _LOCATOR_64.unpack(source.read(locator, _LOCATOR_64.size))
    if mark != b"PK\6\7":
        return None
    if disk or disks != 1 or said != place:
        raise damaged("is a ZIP archive whose ZIP64 record is not where it says")
    fields = _END_64.unpack(source.read(place, _END_64.size))
    mark, length, _, _, disk, first, here, count, size, start = fields
    if mark != b"PK\6\6" or length != _END_64.size - 12 or disk or first or here != count:
        raise damaged("is a ZIP archive whose ZIP64 record contradicts itself")
    return place, start, size, count


def _claims(directory: bytes, count: int) -> Iterator[_Claim]:
    at = 0
    for _ in range(count):
        if at + _ENTRY.size > len(directory):
            raise damaged("is a ZIP archive whose directory is cut short")
        fields = _ENTRY.unpack_from(directory, at)
        mark, _, _, flags, method, _, _, _, packed, size, name, extra, comment, *rest = fields
        if mark != b"PK\1\2" or rest[0]:
            raise damaged("is a ZIP archive whose directory is damaged")
        _check_plain(flags, method)
        behind = at + _ENTRY.size + name
        at = behind + extra + comment
        if at > len(directory) or name > _MAX_NAME:
            raise damaged("is a ZIP archive whose directory is damaged")
        numbers = _numbers_64(directory[behind : behind + extra], [size, packed, rest[3]])
        if numbers[0] != numbers[1]:
            raise damaged("is a ZIP archive in which a stored entry has two sizes")
        yield _Claim(directory[behind - name : behind], flags, numbers[0], numbers[2])
    if at != len(directory):
        raise damaged("is a ZIP archive whose directory is longer than it says")


def _check_plain(flags: int, method: int) -> None:
    if method:
        raise Refused(
            "This file is a compressed ZIP archive. torch.save never compresses, and a small file "
            "could unpack to gigabytes. Unpack it and choose the checkpoint in it."
        )
    if flags & ~_HARMLESS_FLAGS:
        raise Refused("This file is an encrypted or patched ZIP archive. Save it without that.")


def _numbers_64(extra: bytes, numbers: list[int]) -> list[int]:
    """Fill in the sizes and the offset that stand in the ZIP64 field, in its fixed order."""
    if _SATURATED not in numbers:
        return numbers
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            values = struct.iter_unpack("<Q", extra[at + 4 : at + 4 + length // 8 * 8])
            return [next(values)[0] if n == _SATURATED else n for n in numbers]
        at += 4 + length
    raise damaged("is a ZIP archive that lacks a ZIP64 field")


# ----------------------------------------------------------------------------------- one entry


def _behind_header(source: Source, claim: _Claim) -> int:
    """Return where an entry's bytes begin; what stands before them must be what is claimed."""
    raw = source.read(claim.header, _LOCAL.size + len(claim.name))
    mark, _, flags, method, _, _, _, packed, size, name, extra = _LOCAL.unpack_from(raw)
    unknown = {_SATURATED, 0} if flags & _SIZES_FOLLOW else {_SATURATED}
    if mark != b"PK\3\4" or flags != claim.flags or method or raw[_LOCAL.size :] != claim.name:
        raise damaged("is a ZIP archive whose entries are not what its directory says")
    if name != len(claim.name) or not {packed, size} <= unknown | {claim.size}:
        raise damaged("is a ZIP archive whose entries are not as large as its directory says")
    return claim.header + _LOCAL.size + int(name) + int(extra)


def _tame(raw: bytes) -> str:
    """Return a name that stays inside the archive's folder."""
    name = raw.decode("utf-8")
    parts = name.split("/")
    if not name.isprintable() or "\\" in name or ":" in name or "" in parts[:-1] or ".." in parts:
        raise Refused(
            f"This file is a ZIP archive with the entry {quoted(name)}, which leads out of it. "
            "torch.save writes no such names. Do not unpack it."
        )
    return name
