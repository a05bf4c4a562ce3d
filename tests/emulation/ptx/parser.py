"""PTX text to a Module: the entry, its parameters, registers, shared variables, labels and instructions.

Only what Triton and nvcc write for a kernel without calls and without local memory; everything else raises.
"""

import re
from dataclasses import dataclass, field

from .errors import EmulationError

BYTES = {
    **{name: int(name[1:]) // 8 for name in ("b8", "u8", "s8", "b16", "u16", "s16", "f16", "b32", "u32", "s32", "f32")},
    **dict.fromkeys(("b64", "u64", "s64", "f64"), 8),
}
PREDICATE = "pred"

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_ENTRY = re.compile(r"\.entry\s+([\w$]+)\s*\(")
_FILE = re.compile(r'\.file\s+(\d+)\s+"([^"]*)"(?:\s+"([^"]*)")?')
_SHARED = re.compile(r"\.shared\s+(?:\.align\s+(\d+)\s+)?\.(\w+)\s+([\w$]+)\s*(?:\[(\d*)\])?\s*;")
_PARAMETER = re.compile(r"\.param\s+(?:\.align\s+(\d+)\s+)?\.(\w+)(\s+\.ptr\b[^,]*?)?\s+([\w$]+)\s*(?:\[(\d+)\])?\s*$")
_REGISTERS = re.compile(r"(%?[\w$]+)(?:<(\d+)>)?$")
_STATEMENT = re.compile(r"(?:@(!?)([%\w$]+)\s+)?([a-z][\w.:]*)\s*(.*)$", re.DOTALL)
_LABEL = re.compile(r"([\w$]+)\s*:(?!:)")
_LINE = re.compile(r"\.loc\s+(\d+)\s+(\d+)[^\n]*")
_TO_END_OF_LINE = re.compile(r"\.file[^\n]*")


@dataclass(frozen=True)
class Parameter:
    """One parameter of the entry and where it lies in the parameter space."""

    name: str
    kind: str
    offset: int
    size: int
    is_pointer: bool


@dataclass(frozen=True)
class Instruction:
    """`@guard opcode.modifiers operands`, with its line in the PTX and in the kernel's source."""

    text: str
    line: int
    source: str
    guard: str | None
    guard_negated: bool
    opcode: str
    modifiers: tuple[str, ...]
    operands: tuple[str, ...]


@dataclass
class Module:
    """One entry of a PTX text. `shared` maps a variable to its offset; unsized ones begin at `static_shared`."""

    name: str
    version: str
    target: str
    parameters: list[Parameter]
    threads_required: tuple[int, ...] | None
    registers: dict[str, str] = field(default_factory=dict)
    shared: dict[str, int] = field(default_factory=dict)
    static_shared: int = 0
    labels: dict[str, int] = field(default_factory=dict)
    instructions: list[Instruction] = field(default_factory=list)

    @property
    def parameter_bytes(self) -> int:
        return max((p.offset + p.size for p in self.parameters), default=0)


def parse(text: str, entry: str | None = None) -> Module:
    """The only entry of `text`, or the one called `entry`."""
    text = _COMMENT.sub(lambda match: "\n" * match.group().count("\n") or " ", text)
    entries = {match.group(1): match for match in _ENTRY.finditer(text)}
    if entry is None and len(entries) != 1:
        raise EmulationError(f"expected one entry, got {sorted(entries)}: name one")
    if entry is not None and entry not in entries:
        raise EmulationError(f"no entry {entry!r}; there are {sorted(entries)}")
    match = entries[entry] if entry else next(iter(entries.values()))
    close = text.index(")", match.end())
    begin = text.index("{", close)
    end = _closing_brace(text, begin)
    header = text[close:begin]
    required = re.search(r"\.reqntid\s+([\d,\s]+)", header)
    module = Module(
        name=match.group(1),
        version=_directive(text, "version"),
        target=_directive(text, "target"),
        parameters=_parameters(text[match.end() : close]),
        threads_required=tuple(map(int, required.group(1).split(","))) if required else None,
    )
    _lay_out_shared(module, text[: match.start()] + text[begin:end])
    files = {int(number): path.rsplit("/", 1)[-1] for number, path, second in _FILE.findall(text)}
    files |= {int(number): second.rsplit("/", 1)[-1] for number, _, second in _FILE.findall(text) if second}
    _read_body(module, text, begin + 1, end, files)
    return module


def _directive(text: str, name: str) -> str:
    match = re.search(rf"\.{name}\s+([\w.]+)", text)
    if match is None:
        raise EmulationError(f"no .{name} directive: not a PTX text")
    return match.group(1)


def _closing_brace(text: str, begin: int) -> int:
    depth = 0
    for match in re.compile(r"[{}]").finditer(text, begin):
        depth += 1 if match.group() == "{" else -1
        if depth == 0:
            return match.start()
    raise EmulationError("the entry's body does not end")


def _parameters(text: str) -> list[Parameter]:
    parameters, offset = [], 0
    for declaration in filter(None, (part.strip() for part in text.split(","))):
        match = _PARAMETER.match(" ".join(declaration.split()))
        if match is None:
            raise EmulationError(f"unknown parameter declaration: {declaration}")
        align, kind, pointer, name, count = match.groups()
        size = BYTES[kind] * int(count or 1)
        align = int(align or BYTES[kind])
        offset = -(-offset // align) * align
        parameters.append(Parameter(name, kind, offset, size, pointer is not None))
        offset += size
    return parameters


def _lay_out_shared(module: Module, text: str) -> None:
    unsized = []
    for align, kind, name, count in _SHARED.findall(text):
        if count == "" and f"{name}[" in text:
            unsized.append(name)
            continue
        align = int(align or BYTES[kind])
        module.static_shared = -(-module.static_shared // align) * align
        module.shared[name] = module.static_shared
        module.static_shared += BYTES[kind] * int(count or 1)
    module.static_shared = -(-module.static_shared // 128) * 128
    module.shared |= dict.fromkeys(unsized, module.static_shared)


def _read_body(module: Module, text: str, position: int, end: int, files: dict[int, str]) -> None:
    source = ""
    counted, line = 0, 1
    while position < end:
        if text[position].isspace() or text[position] in "{};":  # scopes of inline assembly need no care: see _declare
            position += 1
            continue
        if match := _LINE.match(text, position):
            source = f"{files.get(int(match.group(1)), '?')}:{match.group(2)}"
            position = match.end()
            continue
        if match := _TO_END_OF_LINE.match(text, position):
            position = match.end()
            continue
        if match := _LABEL.match(text, position):
            module.labels[match.group(1)] = len(module.instructions)
            position = match.end()
            continue
        line += text.count("\n", counted, position)
        counted = position
        stop = text.index(";", position)
        statement = " ".join(text[position:stop].split())
        position = stop + 1
        if statement.startswith("."):
            _declare(module, statement)
        else:
            module.instructions.append(_instruction(statement, line, source))


def _declare(module: Module, statement: str) -> None:
    kind, _, rest = statement.partition(" ")
    if kind == ".reg":
        register_type, _, names = rest.partition(" ")
        for name in names.split(","):
            match = _REGISTERS.match(name.strip())
            if match is None:
                raise EmulationError(f"unknown declaration: {statement}")
            stem, count = match.groups()
            for register in [stem] if count is None else [f"{stem}{i}" for i in range(int(count))]:
                # Two scopes may declare one name: one register serves both as long as they agree on its type.
                if module.registers.setdefault(register, register_type[1:]) != register_type[1:]:
                    raise EmulationError(f"register {register} is declared with two types")
    elif kind not in (".pragma", ".shared"):  # shared variables are laid out before
        raise EmulationError(f"unknown directive: {statement}")


def _instruction(statement: str, line: int, source: str) -> Instruction:
    match = _STATEMENT.match(statement)
    if match is None:
        raise EmulationError(f"line {line}: not an instruction: {statement}")
    negated, guard, name, operands = match.groups()
    opcode, *modifiers = name.split(".")
    return Instruction(
        text=statement,
        line=line,
        source=source,
        guard=guard,
        guard_negated=negated == "!",
        opcode=opcode,
        modifiers=tuple(modifiers),
        operands=tuple(split_operands(operands)),
    )


def split_operands(text: str) -> list[str]:
    """`%r1, {%r2, %r3}, [%rd1+4]` in three."""
    operands, depth, begin = [], 0, 0
    for position, character in enumerate(text):
        depth += (character in "{[(") - (character in "}])")
        if character == "," and depth == 0:
            operands.append(text[begin:position].strip())
            begin = position + 1
    last = text[begin:].strip()
    return [*operands, last] if last else operands
