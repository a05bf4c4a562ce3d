"""Global memory: buffers far apart, each byte known to be addressable and written or not."""

from dataclasses import dataclass

import numpy as np

from .errors import Fault

# Buffers begin 64 GiB apart, well above 4 GiB: a pointer cut to 32 bits or a wrong index reaches no other buffer.
SPACING = 36
FIRST = 0x7F0
ALIGNMENT = 512


@dataclass
class Buffer:
    """The bytes of one allocation. `addressable` and `written`: uint8 per byte, 1 where so; `written` is updated."""

    name: str
    data: np.ndarray
    addressable: np.ndarray
    written: np.ndarray


class GlobalMemory:
    """Copies of all buffers in one array; `copy_back` writes what the program stored."""

    def __init__(self, buffers: list[Buffer]):
        self.buffers = buffers
        self.sizes = np.array([len(buffer.data) for buffer in buffers], np.int64)
        room = -(-self.sizes // ALIGNMENT) * ALIGNMENT
        self.starts = np.concatenate([[0], np.cumsum(room)]).astype(np.int64)
        total = int(self.starts[-1]) + ALIGNMENT
        self.data, self.addressable, self.readable = (np.zeros(total, np.uint8) for _ in range(3))
        self.touched = np.zeros(total, np.uint8), np.zeros(total, np.uint8)  # by loads, by stores
        for start, buffer in zip(self.starts, buffers, strict=False):
            part = slice(start, start + len(buffer.data))
            self.data[part] = buffer.data
            self.addressable[part] = buffer.addressable
            self.readable[part] = buffer.addressable & buffer.written

    def address(self, buffer: int) -> int:
        return (FIRST + buffer) << SPACING

    def copy_back(self) -> None:
        for start, buffer in zip(self.starts, self.buffers, strict=False):
            part = slice(start, start + len(buffer.data))
            buffer.data[...] = self.data[part]
            buffer.written |= self.readable[part]

    def locate(self, addresses: np.ndarray, size: int, threads: np.ndarray, action: str) -> np.ndarray:
        """Positions in `data` of accesses of `size` bytes, within one buffer each and aligned."""
        if (misaligned := addresses % size != 0).any():
            at = misaligned.argmax()
            raise Fault(f"misaligned global {action} of {size} bytes at {self.describe(addresses[at])}", threads[at])
        buffer = (addresses >> SPACING) - FIRST
        offset = addresses & ((1 << SPACING) - 1)
        wrong = (buffer < 0) | (buffer >= len(self.sizes))
        buffer = np.where(wrong, 0, buffer)
        wrong |= offset + size > (self.sizes[buffer] if len(self.sizes) else 0)
        if not wrong.any():
            positions = self.starts[buffer] + offset
            wrong = ~all_set(self.addressable, positions, size)
            if not wrong.any():
                return positions
        at = wrong.argmax()
        raise Fault(f"global {action} out of bounds: {size} bytes at {self.describe(addresses[at])}", threads[at])

    def load(self, addresses: np.ndarray, unit: int, count: int, threads: np.ndarray) -> np.ndarray:
        """[n, count] unsigned integers of `unit` bytes."""
        size = unit * count
        positions = self.locate(addresses, size, threads, "load")
        if not (readable := all_set(self.readable, positions, size)).all():
            at = (~readable).argmax()
            raise Fault(f"load of global memory never written, at {self.describe(addresses[at])}", threads[at])
        return rows(self.data, unit, count)[positions // size]

    def store(self, addresses: np.ndarray, values: np.ndarray, threads: np.ndarray) -> None:
        """values: [n, count] unsigned integers."""
        size = values.itemsize * values.shape[1]
        positions = self.locate(addresses, size, threads, "store")
        rows(self.data, values.itemsize, values.shape[1])[positions // size] = values
        mark(self.readable, positions, size)

    def touch(self, addresses: np.ndarray, size: int, stores: bool) -> None:
        """Remember these bytes for `unique_bytes`. Where an access is out of bounds, that is found elsewhere."""
        buffer, offset = (addresses >> SPACING) - FIRST, addresses & ((1 << SPACING) - 1)
        inside = (buffer >= 0) & (buffer < len(self.sizes)) & (addresses % size == 0)
        inside[inside] &= offset[inside] + size <= self.sizes[buffer[inside]]
        mark(self.touched[stores], self.starts[buffer[inside]] + offset[inside], size)

    def unique_bytes(self) -> tuple[int, int]:
        """Distinct bytes loaded, and stored."""
        return int(self.touched[0].sum(dtype=np.int64)), int(self.touched[1].sum(dtype=np.int64))

    def describe(self, address: int) -> str:
        address = int(address)
        buffer, offset = (address >> SPACING) - FIRST, address & ((1 << SPACING) - 1)
        if buffer + 1 in range(len(self.buffers) + 1) and offset >= 1 << (SPACING - 1):
            return f"{(1 << SPACING) - offset} bytes before {self.buffers[buffer + 1].name}"
        if not 0 <= buffer < len(self.buffers):
            return f"address {address:#x}"
        size = int(self.sizes[buffer])
        beyond = f", {offset - size} bytes past its end" if offset >= size else ""
        return f"byte {offset} of {self.buffers[buffer].name} ({size} bytes{beyond})"


def rows(array: np.ndarray, unit: int, count: int) -> np.ndarray:
    """A flat array of bytes as [len / (unit * count), count] integers of `unit` bytes."""
    size = unit * count
    return array[: len(array) // size * size].view(f"u{unit}").reshape(-1, count)


def all_set(flags: np.ndarray, positions: np.ndarray, size: int) -> np.ndarray:
    """Whether every one of the `size` flags from each position on is 1; positions are multiples of size."""
    unit = min(size, 8)
    words = rows(flags, unit, size // unit)[positions // size]
    return (words == int.from_bytes(b"\1" * unit, "little")).all(1)


def mark(flags: np.ndarray, positions: np.ndarray, size: int) -> None:
    """Set the `size` flags from each position on."""
    unit = min(size, 8)
    rows(flags, unit, size // unit)[positions // size] = int.from_bytes(b"\1" * unit, "little")
