"""What CUDA kernels may need at most, kept in nvcc_budgets.json, and what they need.

`kernels`: of each kernel of affine_act_conv and frozen_generator the registers of a thread on each target; none may
spill or have a stack.
`launches`: of a row of tests/cuda_host/conv_rows.py on a target, numbers as of budgets.LAUNCH, upper limits all.
TRAFFIC: by how much sectors and distinct bytes may exceed those of Triton's kernel in the same call.

    PYTHONPATH=tests python -m tests.emulation.nvcc_budgets

prints what was found, to edit by hand.
"""

import json
import re
import sys
from pathlib import Path

from cuda_host.conv_rows import row
from support.chain_rows import case_of

from .conv_emulated import Emulated
from .nvcc import compile_source
from .nvcc_kernels import CUDA_SOURCES, EmulatedLaunch
from .ptx import Counters

FILE = Path(__file__).with_name("nvcc_budgets.json")
TARGETS = ("sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")
EMULATED = ("sm_80", "sm_90")
SOURCES = (*(f"affine_act_conv{part}" for part in ("", "_bfloat16", "_exact", "_half", "_tf32")), "frozen_generator")
TRAFFIC = 1.1
# One of each kernel in half, tf32 and exact float, and one of bfloat16.
ROWS = (
    "conv_transpose2d odd sizes fp16",
    "conv_transpose2d odd sizes tf32",
    "conv_transpose2d odd sizes ieee",
    "conv2d one sample fp16",
    "conv2d one sample bf16",
    "conv_transpose2d to 3 fp16",
    "conv_transpose2d to 3 tf32",
    "conv_transpose2d to 3 ieee",
    "conv2d 4x4s2 from 3 fp16",
    "conv2d 4x4s2 from 3 tf32",
    "conv2d 4x4s2 from 3 ieee",
    "conv_transpose2d 33 to 5 fp16",
    "conv2d from 1 fp16",
    "conv2d from 2 fp16",
    "conv2d from 2 tf32",
    "conv2d from 4, mixed fp16",
)
WIDE_ROWS = ("conv_transpose2d many outputs of 136 fp16", "conv_transpose2d many outputs of 40 tf32")


def load() -> dict:
    return json.loads(FILE.read_text())


def short_name(kernel: str) -> str:
    """`affine_act_conv_kernel<__half, 128x64, whole>` of a kernel's whole name."""
    types = re.search(r"kernel<([^>]*?), \(fastgan::cuda::Products\)(\d), .*?Tile<(\d+), (\d+),", kernel)
    if types is None:
        return re.sub(r"fastgan::cuda::|\(.*", "", kernel).removeprefix("void ")
    element, products, rows, columns = types.groups()
    kind = {"0": element, "1": "tf32", "2": "float"}[products]
    reads = re.search(r"ElementInput<.*, (\d+)> >\(", kernel)
    way = "whole" if reads is None else "element" if reads.group(1) == "1" else "pixel"
    return f"affine_act_conv_kernel<{kind}, {rows}x{columns}, {way}>"


def usages(target: str) -> dict[str, object]:
    """Of every kernel of SOURCES, by short name."""
    found = {}
    for source in SOURCES:
        compiled = compile_source(CUDA_SOURCES / f"{source}.cu", target)
        for entry, kernel in compiled.kernels.items():
            found[short_name(kernel)] = compiled.usage[entry]
    return found


def launched(configuration: str, target: str) -> EmulatedLaunch:
    """The convolution of a row, emulated."""
    subject, of = Emulated(target, count=True), row(configuration)
    subject.run(subject.call(case_of(of), of.precision))
    return subject.launches[-1]


def numbers(counters: Counters) -> dict[str, float]:
    return {
        "load_sectors_per_request": round(counters.load_sectors_per_request, 3),
        "store_sectors_per_request": round(counters.stores.sectors_per_request, 3),
        "conflict_factor": round(counters.conflict_factor, 3),
        "warp_instructions": counters.warp_instructions,
        "unique_bytes_loaded": counters.unique_bytes_loaded,
        "unique_bytes_stored": counters.unique_bytes_stored,
    }


def traffic(counters: Counters) -> dict[str, int]:
    """What a launch moves, in sectors of 32 bytes and in distinct bytes."""
    return {
        "sectors loaded": counters.loads.sectors + counters.copies.sectors,
        "sectors stored": counters.stores.sectors,
        "bytes loaded": counters.unique_bytes_loaded,
        "bytes stored": counters.unique_bytes_stored,
    }


def main() -> None:
    by_target = {target: usages(target) for target in TARGETS}
    kernels = {name: {target: by_target[target][name].registers for target in TARGETS} for name in by_target["sm_80"]}
    launches = [
        {"row": name, "target": target, **numbers(launched(name, target).counters)}
        for name in (*ROWS, *WIDE_ROWS)
        for target in EMULATED
    ]
    lines = [f"  {json.dumps(name)}: {json.dumps(registers)}" for name, registers in sorted(kernels.items())]
    text = '{"kernels": {\n' + ",\n".join(lines) + '\n},\n"launches": [\n  '
    sys.stdout.write(text + ",\n  ".join(map(json.dumps, launches)) + "\n]}\n")


if __name__ == "__main__":
    main()
