"""Launches from eight threads of one process at once: each thread finds what one thread alone finds.

    python tests/cuda_host/threads.py <library of kernels/*.cu>

exits with an error where one does not, or where they have not come to their end after a minute. A program of its own,
without torch: a shim that lets two launches overlap may take its process along.
"""

import ctypes
import faulthandler
import sys
from concurrent.futures import ThreadPoolExecutor

THREADS, ROUNDS, NUMBERS, BLOCKS = 8, 30, 960, 10


def sums(kernels: ctypes.CDLL, counter: ctypes.c_int) -> tuple:
    """Blocks with barriers, which all add to `counter`; what is said, and their sums."""
    x, partial, total = (ctypes.c_float * NUMBERS)(*range(NUMBERS)), (ctypes.c_float * BLOCKS)(), ctypes.c_float()
    said = kernels.fastgan_test_sum(x, NUMBERS, BLOCKS, partial, ctypes.byref(counter), ctypes.byref(total))
    return said, list(partial)


def wrong(kernels: ctypes.CDLL, name: str) -> tuple:
    """What is said of a wrong kernel, and what it leaves under this process's schedule."""
    out = (ctypes.c_float * 256)()
    return kernels.fastgan_test_wrong(name.encode(), out), bytes(out)


def main() -> None:
    faulthandler.dump_traceback_later(60, exit=True)
    kernels = ctypes.CDLL(sys.argv[1])
    kernels.fastgan_test_sum.restype = kernels.fastgan_test_wrong.restype = ctypes.c_char_p
    counter = ctypes.c_int()
    launches = (
        lambda: sums(kernels, counter),
        lambda: wrong(kernels, "missing_barrier"),
        lambda: wrong(kernels, "divergent_barrier"),
    )
    alone = [launch() for launch in launches]

    def run(thread: int) -> bool:
        order = [(thread + i) % len(launches) for i in range(ROUNDS * len(launches))]
        return all(launches[number]() == alone[number] for number in order)

    with ThreadPoolExecutor(THREADS) as pool:
        same = list(pool.map(run, range(THREADS)))
    if not all(same) or counter.value != BLOCKS * (1 + ROUNDS * THREADS):
        sys.exit(f"threads that found the same as one alone: {same}; blocks counted: {counter.value}")


if __name__ == "__main__":
    main()
