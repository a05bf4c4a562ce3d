"""Suite `generate`: labelled images to disk in each format, against the frozen generator in memory."""

import hashlib
import itertools
import json
import shutil
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from fastgan.bench.engines import OURS
from fastgan.bench.options import Options
from fastgan.bench.race import Record, Say
from fastgan.bench.suites import generator
from fastgan.bench.timing import interleaved, percentiles, ratio

from fastgan.frozen import freeze
from fastgan.models import Discriminator, Generator
from fastgan.noise import Stream, normal
from fastgan.run import Run, create_run, write_checkpoint
from fastgan.synth.generation import produce

IMAGES = 4096
ROUNDS = 5
BLOCK = 64
CLASSES = 10
MEMORY = "freeze in memory"
FORMATS = {"npy": "raw uint8 shards", "webdataset": "webdataset", "imagefolder": "PNG folders"}
# A level of 255 is 0.004 of the range; rounding may fall to either side of a half.
_ONE_LEVEL = 1


def run(options: Options, machine: dict[str, Any], records: list[Record], notes: list[str], say: Say) -> None:
    """One record a way; `ratio_to_best_peer` is the share of the speed in memory."""
    count = options.batch or IMAGES
    before = torch.get_num_threads()
    torch.set_num_threads(options.threads)
    try:
        with tempfile.TemporaryDirectory(prefix="fastgan-bench-", dir=".") as folder:
            _run(Path(folder), count, options, machine, records, say)
    finally:
        torch.set_num_threads(before)


def _run(folder: Path, count: int, options: Options, machine: dict, records: list[Record], say: Say) -> None:
    made = _make_run(folder / "run", options)
    memory = InMemory(made, count)
    ways: dict[str, Any] = {MEMORY: memory}
    ways |= {name: ToDisk(made, count, form, folder / form) for form, name in FORMATS.items()}
    refused = {}
    for name, way in ways.items():
        say(f"generate, {count} images: checking {name}")
        if complaint := way.complaint(memory):
            refused[name] = complaint
    seconds: dict[str, list[float]] = {}
    timed = {name: way for name, way in ways.items() if name not in refused}
    try:
        interleaved(timed, options.rounds or ROUNDS, 0.0, lambda name: say(f"generate: {name}"), seconds, float("inf"))
    finally:
        records += _records(count, ways, seconds, refused, memory.error, machine)


class InMemory:
    """The frozen generator over blocks of 64, threads inside a block; pixels are dropped."""

    def __init__(self, made: Run, count: int):
        self.generator, self.count, self.error = made.load_generator(), count, None
        self.frozen = freeze(self.generator, "uint8")
        self.calls = list(range(0, count, BLOCK))

    def time(self, discard: int, seconds: float) -> float:
        for first in self.calls[:discard]:
            self.pixels(first)
        start = perf_counter()
        for first in self.calls:
            self.pixels(first)
        return perf_counter() - start

    def pixels(self, first: int) -> torch.Tensor:
        size = min(BLOCK, self.count - first)
        z = torch.from_numpy(normal(0, Stream.LATENT, first, size, self.frozen.z_dim))
        with torch.inference_mode():
            return self.frozen(z, (first + torch.arange(size)) % CLASSES)

    def sha256(self, first: int, count: int) -> str:
        digest = hashlib.sha256()
        for block in range(first, first + count, BLOCK):
            digest.update(self.pixels(block).numpy())
        return digest.hexdigest()

    def complaint(self, _: "InMemory") -> str | None:
        z = torch.from_numpy(normal(0, Stream.LATENT, 0, BLOCK, self.frozen.z_dim)).double()
        with torch.inference_mode():
            truth = self.generator.double().eval()(z, torch.arange(BLOCK) % CLASSES).permute(0, 2, 3, 1).numpy()
        got = self.pixels(0).numpy()
        apart = np.abs(got - np.clip((truth[: len(got)] + 1) * 127.5, 0, 255)).max()
        self.error = float(apart) / 255
        return None if apart <= _ONE_LEVEL else f"wrong: pixels differ from float64 by {apart:.1f} levels"


class ToDisk:
    """`fastgan.synth.produce` into a new folder; what it has written is checked once, by the hashes of its pixels.

    Sets of many files stay until the suite ends: for a minute ext4 searches past every inode that was freed when it
    makes a file.
    """

    def __init__(self, made: Run, count: int, form: str, out: Path):
        self.made, self.count, self.form, self.out, self.sets = made, count, form, out, itertools.count()

    def time(self, discard: int, seconds: float) -> float:
        outcome = self._produce()
        if self.form != "imagefolder":
            shutil.rmtree(outcome.out)
        return outcome.seconds

    def complaint(self, memory: InMemory) -> str | None:
        manifest = json.loads(self._produce().manifest.read_text())
        for shard in manifest["shards"]:
            if shard["pixel_sha256"] != memory.sha256(shard["first"], shard["count"]):
                return f"wrong: images from {shard['first']} on are not those in memory"
        return None

    def _produce(self) -> Any:
        return produce(self.made, self.count, self.out / str(next(self.sets)), format=self.form, device="cpu")


def _make_run(path: Path, options: Options) -> Run:
    """A run with 10 classes and weights from a seed, written as `train` writes them."""
    shape = {"size": list(options.size), "width": options.width, "num_classes": CLASSES, "preset": "keras"}
    models = {
        "generator": {**shape, "channels": 3, "z_dim": generator.Z_DIM},
        "discriminator": {**shape, "channels": 3},
    }
    classes = [str(i) for i in range(CLASSES)]
    made = create_run(path, {"data": {"name": "bench", "classes": classes}, "model": models, "train": {}})
    g, d = Generator(**models["generator"]).init_weights(0), Discriminator(**models["discriminator"]).init_weights(0)
    with torch.no_grad():
        g.main.to_image.weight.mul_(50)  # fresh weights give grey, which compresses to nothing
    parts = {"generator": g.state_dict(), "ema": g.state_dict(), "discriminator": d.state_dict()}
    write_checkpoint(made.checkpoint_folder, 1, {**parts, "optim": {"step": torch.zeros(1)}}, {"images": 64})
    return Run.open(path)


def _records(count: int, ways: dict, seconds: dict, refused: dict, error: float | None, machine: dict) -> list[Record]:
    speed = {name: percentiles([count / each for each in values]) for name, values in seconds.items() if values}
    fixed = {"suite": "generate", "batch": count, "waiting": "passive", "best_peer": MEMORY, "machine": machine}
    fixed |= {"device": "cpu", "precision": "fp32"}

    def share(name: str) -> float | None:
        return ratio(seconds[name], seconds[MEMORY]) if seconds.get(name) and seconds.get(MEMORY) else None

    return [
        {
            **fixed,
            "case": name,
            "backend": OURS,
            "img_per_s": speed.get(name),
            "ratio_to_best_peer": share(name),
            "gflop_per_image": None,
            "roofline_fraction": None,
            "max_rel_err": error,
            "seconds_per_call": seconds.get(name),
            "refused": refused.get(name),
        }
        for name in ways
    ]


def table(records: list[Record]) -> list[str]:
    """One row a way, with its share of the speed in memory."""
    lines = [f"  {'to':<22}{'img/s':>9}{'p20':>9}{'p80':>9}{'of memory':>14}"]
    for record in records:
        speed = record["img_per_s"]
        if speed is None:
            lines.append(f"  {record['case']:<22}{record['refused'] or 'not timed'}")
            continue
        share = f"{record['ratio_to_best_peer']:.2f}" if record["ratio_to_best_peer"] is not None else "-"
        numbers = "".join(f"{speed[key]:>9.0f}" for key in ("p50", "p20", "p80"))
        lines.append(f"  {record['case']:<22}{numbers}{share:>14}")
    return lines
