"""Writes small frozen generators into a folder, for tests/c_api_program: python tests/c_api/write_plans.py FOLDER"""

import sys
from pathlib import Path

from plans import PLANS

from fastgan.frozen import save

SMALL = ("keras 8x8x3, three classes", "maps for latents, a permutation", "vectors")

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name in SMALL:
        save(PLANS[name](), folder / f"{name.replace(' ', '-').replace(',', '')}.safetensors")
