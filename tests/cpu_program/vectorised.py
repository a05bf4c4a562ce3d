"""Says whether the baseline kernels became NEON instructions: reads the disassembly of a build for aarch64.

    python tests/cpu_program/vectorised.py build/cpu_program/aarch64 [--objdump aarch64-linux-gnu-objdump]

In the convolutions every inner kernel must multiply and add vectors in one instruction and never single numbers; in
the other ops there must be vector arithmetic. Exits with 1 where there is not.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

# The function templates that hold the convolutions' inner loops, by object.
INNER = {
    "affine_act_conv_default": r"::multiply<\d+, (float|double)>\(",
    "affine_act_conv_input_grad_default": r"::multiply<\d+, (float|double)>\(",
    "affine_act_conv_weight_grad_default": r"::outer_products<(float|double)>\(",
}
# Passes over maps and logits, by object.
PASSES = ["affine_act_default", "channel_statistics_default", "gan_loss_default"]

VECTOR_FUSED = re.compile(r"\tfmla\tv\d+\.(4s|2d)")
SCALAR_FUSED = re.compile(r"\tf(n?m(add|sub))\t")
VECTOR_ARITHMETIC = re.compile(r"\tf(mul|add|mla)\tv\d+\.(4s|2d)")


def functions(objdump: str, target: Path) -> dict[str, str]:
    """The instructions of each function of an object, by its name as it is written in C++."""
    command = [objdump, "-d", "-C", "--no-show-raw-insn", str(target)]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    parts = re.split(r"^[0-9a-f]+ <(.*)>:$", listing, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def problems(folder: Path, objdump: str) -> list[str]:
    found = []
    for stem, pattern in INNER.items():
        inner = {
            name: body for name, body in functions(objdump, folder / f"{stem}.o").items() if re.search(pattern, name)
        }
        if not inner:
            found.append(f"{stem}: no function matches {pattern}")
        for name, body in inner.items():
            vectors, scalars = len(VECTOR_FUSED.findall(body)), len(SCALAR_FUSED.findall(body))
            short = re.search(pattern, name).group().strip(":(")
            sys.stdout.write(f"{stem}: {short}: {vectors} fmla of vectors\n")
            if vectors == 0 or scalars > 0:
                found.append(f"{stem}: {short} has {vectors} fmla of vectors and {scalars} of single numbers")
    for stem in PASSES:
        vectors = sum(
            len(VECTOR_ARITHMETIC.findall(body)) for body in functions(objdump, folder / f"{stem}.o").values()
        )
        sys.stdout.write(f"{stem}: {vectors} vector operations\n")
        if vectors == 0:
            found.append(f"{stem} has no vector arithmetic")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where build.py put its objects")
    parser.add_argument("--objdump", default="aarch64-linux-gnu-objdump")
    options = parser.parse_args()
    found = problems(options.folder, options.objdump)
    sys.stdout.write("vectorised: no\n" + "".join(f"  {each}\n" for each in found) if found else "vectorised: yes\n")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
