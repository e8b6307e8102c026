"""Records that lie in a file of JSON lines and are read one by one when they are asked for.

A run's cases and answers are read this way where their file is large, so that memory does not grow with what they hold:
12 bytes a record, and 100 or so for a name. The file is only appended to, or replaced whole, while it is read.
"""

from __future__ import annotations

import contextlib
import os
from abc import abstractmethod
from array import array
from collections.abc import Collection, ItemsView, Iterable, Iterator, Mapping, Sequence, ValuesView
from pathlib import Path
from typing import Generic, TypeVar, overload

import msgspec

LARGE = 16 * 2**20
"""Bytes of a file up to which its records are simply held."""

T = TypeVar("T")


class OnDemand(Sequence[T], Generic[T]):
    """A read-only sequence whose records are made when they are asked for: an index makes one, a slice a tuple.

    A base class, and not a function, because what its heirs share is how a sequence answers to `[...]`.
    """

    kind: type[T]
    """Of the records."""

    @abstractmethod
    def _read(self, place: int) -> T:
        """The record at this place, 0 or more and less than the length."""

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[T, ...]: ...
    def __getitem__(self, index: int | slice) -> T | tuple[T, ...]:
        places = range(len(self))[index]  # counts from the end, and raises IndexError, as a tuple does
        return self._read(places) if isinstance(places, int) else tuple(map(self._read, places))


class Lines(OnDemand[T]):
    """Records in a file, in an order of their own."""

    def __init__(self, path: Path, kind: type[T]) -> None:
        """`add` says where they are. Raises OSError."""
        self.kind = kind
        self._decoder = msgspec.json.Decoder(kind)
        self._starts, self._sizes = array("Q"), array("I")
        self._file = os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError, OSError):
            os.close(self._file)

    def add(self, start: int, size: int) -> int:
        """One more record at this byte, so many bytes long; its index."""
        self._starts.append(start)
        self._sizes.append(size)
        return len(self._starts) - 1

    def __len__(self) -> int:
        return len(self._starts)

    def _read(self, place: int) -> T:
        return self._decoder.decode(os.pread(self._file, self._sizes[place], self._starts[place]))

    def __iter__(self) -> Iterator[T]:
        return map(self._read, range(len(self)))

    def __eq__(self, other: object) -> bool:
        """Equal to any sequence of the same records, as tuples are to tuples."""
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    def __repr__(self) -> str:
        return f"<{len(self):,} {self.kind.__name__} records on disk>"


class ByName(Mapping[str, T], Generic[T]):
    """Records on disk by their names; looking up reads one record."""

    def __init__(self, lines: OnDemand[T], numbers: Mapping[str, int]) -> None:
        """`numbers`: name -> number, shared by several of these; `put` says which of the lines has that number."""
        self._lines, self._numbers, self._index = lines, numbers, array("q")

    @property
    def kind(self) -> type[T]:
        """Of the records."""
        return self._lines.kind

    def put(self, number: int, index: int) -> None:
        """The record with this number is this one."""
        self._index.extend([-1] * (number + 1 - len(self._index)))
        self._index[number] = index

    def _at(self, number: int | None) -> int:
        return self._index[number] if number is not None and number < len(self._index) else -1

    def __getitem__(self, name: str) -> T:
        index = self._at(self._numbers.get(name))
        if index < 0:
            raise KeyError(name)
        return self._lines[index]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._at(self._numbers.get(name)) >= 0

    def __iter__(self) -> Iterator[str]:
        return (name for name, number in self._numbers.items() if self._at(number) >= 0)

    def __len__(self) -> int:
        return len(self._index) - self._index.count(-1)

    def values(self) -> ValuesView[T]:
        """The records, without looking each name up."""
        return _Values(self)

    def items(self) -> ItemsView[str, T]:
        """Names and records."""
        return _Items(self)


class _Values(ValuesView[T]):
    def __init__(self, of: ByName[T]) -> None:
        super().__init__(of)
        self._of = of

    def __iter__(self) -> Iterator[T]:
        return (self._of._lines[index] for index in self._of._index if index >= 0)


class _Items(ItemsView[str, T]):
    def __init__(self, of: ByName[T]) -> None:
        super().__init__(of)
        self._of = of

    def __iter__(self) -> Iterator[tuple[str, T]]:
        return ((name, self._of[name]) for name in self._of)


class Pairs(Mapping[tuple[str, str], T], Generic[T]):
    """Records by name and arm, from a mapping for each arm; none is read before it is asked for."""

    def __init__(self, arms: Mapping[str, Mapping[str, T]]) -> None:
        self._arms = arms

    def __getitem__(self, key: tuple[str, str]) -> T:
        return self._arms[key[1]][key[0]]

    def __contains__(self, key: object) -> bool:
        return isinstance(key, tuple) and len(key) == 2 and key[1] in self._arms and key[0] in self._arms[key[1]]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return ((name, arm) for arm, found in self._arms.items() for name in found)

    def __len__(self) -> int:
        return sum(map(len, self._arms.values()))


class AllOf(Collection[T], Generic[T]):
    """The records of several mappings, one mapping after the other."""

    def __init__(self, arms: Mapping[str, Mapping[str, T]]) -> None:
        self.arms = arms

    def __iter__(self) -> Iterator[T]:
        return (record for found in self.arms.values() for record in found.values())

    def __len__(self) -> int:
        return sum(map(len, self.arms.values()))

    def __contains__(self, record: object) -> bool:
        return any(one == record for one in self)


def in_parts(records: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The records in order, so many at a time."""
    if len(records) <= size:
        yield records
        return
    for start in range(0, len(records), size):
        yield records[start : start + size]


def by_name(records: Sequence[T], names: Iterable[str], *, numbers: dict[str, int] | None = None) -> Mapping[str, T]:
    """Records by their names: a dictionary, or, where they lie on disk, a look-up there.

    `numbers`: see `ByName`; names that are new are added.
    """
    if not isinstance(records, OnDemand):
        return dict(zip(names, records, strict=True))
    numbers = {} if numbers is None else numbers
    found = ByName(records, numbers)
    for index, name in enumerate(names):
        found.put(numbers.setdefault(name, len(numbers)), index)
    return found
