"""What a dry run does instead of `fastgan tune`: the same code on layers of a few channels, on the CPU."""

import json
import sys

from fastgan import tuned
from fastgan.tuning import Scope, tune

TINY = Scope(
    models=(("dcgan", (8, 8), 1),), width=8, batches=(2,), network_batch=2, logits=(64,), rounds=1, seconds=1e-4
)


def main() -> None:
    table = tune("cpu", ["fp32"], backend="cpu", scope=TINY)
    sys.stdout.write(json.dumps(tuned.as_json(table)) + "\n")


if __name__ == "__main__":
    main()
