"""Turning an instruction into something to execute: modifiers are taken one by one, operands become slots.

Every opcode has a function that takes a Decoder and returns execute(threads, mask). A modifier that it
neither takes nor ignores by name is an error, and so is an operand that it leaves over.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .errors import EmulationError
from .formats import FLOAT, Format, format_of
from .parser import BYTES, PREDICATE, Instruction, Module, split_operands
from .threads import SPECIAL_REGISTERS, Mask, Slot, Threads, write

Execute = Callable[[Threads, Mask], None]
SHARED_BASE = 1024  # where the shared window begins: an address that is off by a whole base is then out of bounds
BITS = {kind: np.dtype(f"u{size}") for kind, size in BYTES.items()} | {PREDICATE: np.dtype(bool)}

OPCODES: dict[str, Callable[["Decoder"], Execute]] = {}

_ADDRESS = re.compile(r"\[\s*([%\w$.]+)\s*(?:\+\s*(-?\w+)\s*)?\]$")
_REGISTER = re.compile(r"%\w+")
_FLOAT_LITERAL = {"0f": (8, np.uint32), "0F": (8, np.uint32), "0d": (16, np.uint64), "0D": (16, np.uint64)}


def opcode(*names: str) -> Callable:
    """Register the decorated function for these opcodes."""

    def register(decode: Callable[["Decoder"], Execute]) -> Callable[["Decoder"], Execute]:
        for name in names:
            assert name not in OPCODES, name
            OPCODES[name] = decode
        return decode

    return register


@dataclass(frozen=True)
class Address:
    """A base register and an offset in bytes; without a register the offset is the address."""

    slot: int | None
    offset: int

    def values(self, threads: Threads) -> np.ndarray:
        """int64 [T]."""
        if self.slot is None:
            return np.full(threads.count, self.offset, np.int64)
        return threads.arrays[self.slot].astype(np.int64) + self.offset


class Program:
    """A module with every instruction decoded; slots are shared by all instructions."""

    def __init__(self, module: Module):
        self.module = module
        self.register_types = {name: BITS[kind] for name, kind in module.registers.items()}
        self.slots: list[Slot | np.ndarray] = []
        self._numbers: dict = {}
        self.shared_granule = 8  # bytes: no access to shared memory is smaller
        self.names = [frozenset(_REGISTER.findall(i.text)) for i in module.instructions]
        self.guards = [
            None if i.guard is None else (self.number(Slot(i.guard, np.dtype(bool))), i.guard_negated)
            for i in module.instructions
        ]
        self.executes = [decode(instruction, self) for instruction in module.instructions]

    def accesses_shared(self, size: int) -> None:
        self.shared_granule = min(self.shared_granule, size)

    def number(self, slot: Slot) -> int:
        if slot not in self._numbers:
            self._numbers[slot] = len(self.slots)
            self.slots.append(slot)
        return self._numbers[slot]

    def constant(self, value: np.ndarray) -> int:
        self.slots.append(value.reshape(1))
        return len(self.slots) - 1


def decode(instruction: Instruction, program: Program) -> Execute | None:
    """None for what the machine does itself: branches, exits and barriers."""
    decoder = Decoder(instruction, program)
    try:
        if instruction.opcode not in OPCODES:
            raise EmulationError(f"unknown opcode {instruction.opcode}")
        execute = OPCODES[instruction.opcode](decoder)
        decoder.finish()
    except EmulationError as error:
        raise EmulationError(f"{error} (PTX line {instruction.line}: {instruction.text})") from None
    return execute


class Decoder:
    """One instruction, its modifiers and operands not yet used up."""

    def __init__(self, instruction: Instruction, program: Program):
        self.instruction = instruction
        self.program = program
        self.opcode = instruction.opcode
        self._modifiers = list(instruction.modifiers)
        self._operands = list(instruction.operands)

    def finish(self) -> None:
        if self._modifiers:
            raise EmulationError(f"unknown modifier {', '.join('.' + name for name in self._modifiers)}")
        if self._operands:
            raise EmulationError(f"unknown operand {', '.join(self._operands)}")

    # Modifiers

    def take(self, *names: str, default: str | None = None) -> str:
        """Whichever of `names` is there."""
        for name in names:
            if name in self._modifiers:
                self._modifiers.remove(name)
                return name
        if default is None:
            raise EmulationError(f"expected one of {', '.join('.' + name for name in names)}")
        return default

    def flag(self, name: str) -> bool:
        return self.take(name, default="") == name

    def ignore(self, *names: str) -> None:
        """Modifiers without an effect here. The caller says why."""
        for name in names:
            self.flag(name)

    def format(self, *allowed: str) -> Format:
        """The last modifier, a type."""
        name = self._modifiers.pop() if self._modifiers else ""
        if name not in allowed:
            raise EmulationError(f"type .{name} is not one of {', '.join(allowed)}")
        return format_of(name)

    def matching(self, pattern: str) -> re.Match:
        """The modifier that matches `pattern` throughout."""
        for name in self._modifiers:
            if match := re.fullmatch(pattern, name):
                self._modifiers.remove(name)
                return match
        raise EmulationError(f"expected a modifier like {pattern}")

    # Operands

    @property
    def remaining(self) -> int:
        return len(self._operands)

    def text(self) -> str:
        if not self._operands:
            raise EmulationError("an operand is missing")
        return self._operands.pop(0)

    def elements(self) -> list[str]:
        """`{a, b}` as [a, b]; a bare operand as a list of one."""
        text = self.text()
        return split_operands(text.strip("{} ")) if text.startswith("{") else [text]

    def target(self, dtype: type, text: str | None = None) -> int:
        """The slot of a register of exactly this size to write; `_` is a register that nobody reads."""
        text = self.text() if text is None else text
        if text == "_":
            text = f"_{np.dtype(dtype).name}"
            self.program.register_types[text] = np.dtype(bool if dtype is bool else f"u{np.dtype(dtype).itemsize}")
        return self._register(text, np.dtype(dtype))

    def source(self, dtype: type, text: str | None = None) -> int:
        """The slot of a register, special register or constant to read."""
        text = self.text() if text is None else text
        if text in SPECIAL_REGISTERS:
            return self.program.number(Slot(text, np.dtype(dtype), special=True))
        if text.startswith("%") or text in self.program.register_types:
            return self._register(text, np.dtype(dtype))
        return self.program.constant(self._literal(text, np.dtype(dtype)))

    def sources(self, dtype: type, count: int) -> list[int]:
        return [self.source(dtype) for _ in range(count)]

    def predicate(self, text: str | None = None) -> tuple[int, bool]:
        """The slot of a predicate to read and whether it is negated."""
        text = self.text() if text is None else text
        negated = text.startswith("!")
        return self.source(bool, text.lstrip("!")), negated

    def address(self) -> Address:
        text = self.text()
        match = _ADDRESS.match(text)
        if match is None:
            raise EmulationError(f"not an address: {text}")
        base, offset = match.group(1), int(match.group(2) or "0", 0)
        if base in self.program.register_types:
            kind = self.program.register_types[base]
            if kind.itemsize < 4:
                raise EmulationError(f"address in a register of {8 * kind.itemsize} bits")
            return Address(self.program.number(Slot(base, kind)), offset)
        if base in self.program.module.shared:
            return Address(None, SHARED_BASE + self.program.module.shared[base] + offset)
        for parameter in self.program.module.parameters:
            if parameter.name == base:
                return Address(None, parameter.offset + offset)
        if base[0].isdigit():
            return Address(None, int(base, 0) + offset)
        raise EmulationError(f"unknown name {base}")

    def whole(self) -> int:
        """A number that must be known now."""
        return int(self.text(), 0)

    def register_size(self, text: str) -> int:
        """Bytes of a register, which loads, stores and conversions may have wider than their type."""
        if text not in self.program.register_types:
            raise EmulationError(f"{text} is not a register")
        return self.program.register_types[text].itemsize

    def _register(self, text: str, dtype: np.dtype) -> int:
        kind = self.program.register_types.get(text)
        if kind is None:
            raise EmulationError(f"{text} is not a register")
        if (kind.kind == "b") != (dtype.kind == "b") or kind.itemsize != dtype.itemsize:
            raise EmulationError(f"register {text} holds {kind.name}, expected {8 * dtype.itemsize} bits ({dtype})")
        return self.program.number(Slot(text, dtype))

    def _literal(self, text: str, dtype: np.dtype) -> np.ndarray:
        if text in self.program.module.shared:
            return np.array(SHARED_BASE + self.program.module.shared[text]).astype(dtype)
        for parameter in self.program.module.parameters:
            if parameter.name == text:
                return np.array(parameter.offset).astype(dtype)
        if text[:2] in _FLOAT_LITERAL:
            digits, kind = _FLOAT_LITERAL[text[:2]]
            value = np.array(int(text[2 : 2 + digits], 16), kind)
            if dtype.itemsize == value.itemsize:
                return value.view(dtype)
            return value.view(FLOAT[32 if digits == 8 else 64]).astype(FLOAT[8 * dtype.itemsize]).view(dtype)
        try:
            number = int(text.rstrip("U"), 0)
        except ValueError:
            raise EmulationError(f"unknown operand {text}") from None
        if dtype.kind == "b":
            return np.array(number != 0)
        bits = 8 * dtype.itemsize
        return np.array(number & ((1 << bits) - 1), f"u{dtype.itemsize}").view(dtype)


def elementwise(decoder: Decoder, result: type, operands: type, count: int, function: Callable) -> Execute:
    """target = function(*sources), on arrays [T] or [1] of the dtype `operands`, giving `result`."""
    target = decoder.target(result)
    sources = decoder.sources(operands, count)

    def execute(threads: Threads, mask: Mask) -> None:
        arrays = threads.arrays
        write(arrays[target], function(*(arrays[source] for source in sources)), mask)

    return execute
