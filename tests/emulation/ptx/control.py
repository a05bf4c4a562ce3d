"""bra, ret, exit and bar: what decides which threads go on, and where. The machine acts on these records."""

from dataclasses import dataclass

from .decode import Decoder, opcode
from .errors import EmulationError


@dataclass(frozen=True)
class Branch:
    target: int  # index of an instruction


@dataclass(frozen=True)
class Exit:
    pass


@dataclass(frozen=True)
class Barrier:
    """Every thread of the CTA that still runs."""


@opcode("bra")
def _branch(d: Decoder) -> Branch:
    d.ignore("uni")  # a promise that threads agree, which needs no keeping here
    label = d.text()
    if label not in d.program.module.labels:
        raise EmulationError(f"unknown label {label}")
    return Branch(d.program.module.labels[label])


@opcode("ret", "exit")
def _exit(d: Decoder) -> Exit:
    return Exit()


@opcode("bar", "barrier")
def _barrier(d: Decoder):
    if d.flag("warp"):
        d.take("sync")
        d.text()
        return lambda threads, mask: None  # threads of a warp run in lock step
    d.ignore("cta", "aligned")
    d.take("sync")
    if d.text() != "0":
        raise EmulationError("only barrier 0 is modelled")
    if d.remaining:
        required = d.program.module.threads_required
        if required is None or d.whole() != required[0]:
            raise EmulationError("only barriers of the whole CTA are modelled")
    return Barrier()
