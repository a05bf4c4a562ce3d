"""The training loop: steps, snapshots, and the reasons to stop."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from fastgan.errors import RunError
from fastgan.models import Generator
from fastgan.progress import Progress
from fastgan.run import Run, write_checkpoint
from fastgan.train.evaluate import KidEvaluator
from fastgan.train.log import TrainLog
from fastgan.train.networks import Networks
from fastgan.train.options import TrainOptions
from fastgan.train.order import RealBatches
from fastgan.train.samples import write_grid
from fastgan.train.signals import StopRequest
from fastgan.train.step import StepResult, train_step

LOG_STEPS = 50

BUDGET = "the budget is used up"
MINUTES = "the time limit is reached"
PATIENCE = "KID has not improved"
SIGNAL = "a signal asked for it"


@dataclass
class Counters:
    """Where a training stands; a checkpoint's state.json holds them under `trainer`.

    Attributes:
        step: steps done.
        seconds: time spent so far, snapshots included, over all processes that took part.
        best_kid: the lowest KID so far, or None.
        snapshots_since_best: snapshots in a row without a lower one.
        log_bytes: length of metrics.jsonl.
        scaler: state of the fp16 loss scaler, {} at other precisions.
    """

    step: int = 0
    seconds: float = 0.0
    best_kid: float | None = None
    snapshots_since_best: int = 0
    log_bytes: int = 0
    scaler: dict[str, Any] | None = None


class Trainer:
    """Runs steps on one set of networks and writes what they leave into a run folder."""

    def __init__(
        self,
        run: Run,
        options: TrainOptions,
        networks: Networks,
        batches: RealBatches,
        make_evaluator: Callable[[Progress], KidEvaluator] | None,
        progress: Progress,
    ) -> None:
        self._run, self._options, self._networks = run, options, networks
        self._batches, self._report = batches, progress
        self._make_evaluator, self._evaluator = make_evaluator, None
        self._at = Counters()
        self._saved_step = -1

    def resume(self) -> None:
        """Take over the newest whole checkpoint.

        Raises:
            RunError: there is none.
        """
        checkpoint = self._run.checkpoint("latest")
        state = checkpoint.state()
        self._networks.unpack({part: checkpoint.tensors(part) for part in state["files"]})
        self._at = Counters(**state["trainer"])
        self._saved_step = self._at.step
        if self._at.scaler:
            self._networks.scaler.load_state_dict(self._at.scaler)

    @property
    def images(self) -> int:
        """Real images shown to the discriminator so far."""
        return self._at.step * self._options.batch

    def train(self, stop: StopRequest) -> str:
        """Train until there is a reason to stop, leave a checkpoint, and return the reason.

        Raises:
            RunError: a loss or a weight is not finite; the checkpoints from before stay.
        """
        self._log = TrainLog(self._run.path, self._at.log_bytes, self.images)
        try:
            reason = self._reason_to_stop(stop)
            while reason is None:
                self._stretch(stop)
                if self._snapshot_due():
                    self._snapshot()
                reason = self._reason_to_stop(stop)
            if self._saved_step != self._at.step:
                if reason == SIGNAL:  # whoever sent it is waiting: no time for KID
                    self._networks.averaged()
                    self._save(best=self._make_evaluator is None)
                else:
                    self._snapshot()
            return reason
        finally:
            self._log.close()

    def _reason_to_stop(self, stop: StopRequest) -> str | None:
        options, at = self._options, self._at
        if self.images >= options.images:
            return BUDGET
        if options.patience and at.snapshots_since_best >= options.patience:
            return PATIENCE
        if options.minutes is not None and at.seconds >= 60 * options.minutes:
            return MINUTES
        return SIGNAL if stop else None

    def _snapshot_due(self) -> bool:
        return self.images % self._options.snapshot_images == 0 or self.images >= self._options.images

    def _stretch(self, stop: StopRequest) -> None:
        """Train up to the next row of the log, the next snapshot or a signal, and write the row."""
        options, at = self._options, self._at
        first, clock = at.step, time.monotonic()
        speed = "warming up"
        while True:
            real, labels = self._batches(at.step)
            result = train_step(self._networks, options, at.step, real, labels)
            at.step += 1
            seconds = time.monotonic() - clock
            if at.step - first > 3:
                speed = f"{(at.step - first) * options.batch / seconds:.0f} img/s"
            self._report(self.images, options.images, speed)
            late = options.minutes is not None and at.seconds + seconds >= 60 * options.minutes
            if at.step % LOG_STEPS == 0 or self._snapshot_due() or late or stop:
                break
        row = self._finite_row(result)
        seconds = time.monotonic() - clock
        at.seconds += seconds
        row |= {"seconds": at.seconds, "img_per_s": (at.step - first) * options.batch / seconds}
        self._log.write(row)

    def _finite_row(self, result: StepResult) -> dict[str, Any]:
        row = {"step": self._at.step, "images": self.images}
        row |= {"d_loss": result.d_loss.item(), "g_loss": result.g_loss.item()}
        for name in ("d_loss", "g_loss"):
            if not math.isfinite(row[name]):
                self._stop_non_finite(f"{name} became {row[name]}")
        return row | {name: value.item() for name, value in result.statistics.items()}

    def _stop_non_finite(self, what: str) -> None:
        whole = [c for c in self._run.checkpoints() if c.damage() is None]
        kept = f"the last good checkpoint is {whole[0].path}" if whole else "no checkpoint had been written yet"
        raise RunError(
            f"training stopped at step {self._at.step}: {what}; {kept}; train again with lower learning rates "
            "(--lr-generator, --lr-discriminator) or --precision fp32"
        )

    def _snapshot(self) -> None:
        """Measure KID, write the sample grid and a checkpoint."""
        clock, at = time.monotonic(), self._at
        generator = self._networks.averaged()
        best = self._make_evaluator is None
        if self._make_evaluator is not None:
            row = {"images": self.images, **self._kid(generator)}
            self._log.write(row)
            best = at.best_kid is None or row["kid"] < at.best_kid
            at.best_kid = row["kid"] if best else at.best_kid
            at.snapshots_since_best = 0 if best else at.snapshots_since_best + 1
        options = self._options
        write_grid(self._run.path / "samples" / f"{at.step:06d}.png", generator, options.seed, options.precision)
        at.seconds += time.monotonic() - clock
        self._save(best)

    def _kid(self, generator: Generator) -> dict[str, Any]:
        if self._evaluator is None:
            self._evaluator = self._make_evaluator(
                lambda done, total, text: self._report(
                    self.images, self._options.images, f"training the classifier for KID, {done} of {total} steps"
                )
            )
        self._report(self.images, self._options.images, "measuring KID")
        return self._evaluator(generator)

    def _save(self, best: bool = False) -> None:
        if bad := self._networks.non_finite():
            self._stop_non_finite(f"a value of {bad} is not finite")
        at = self._at
        at.log_bytes = self._log.size
        at.scaler = self._networks.scaler.state_dict()
        write_checkpoint(
            self._run.checkpoint_folder, at.step, self._networks.pack(), {"trainer": asdict(at)}, best=best
        )
        self._saved_step = at.step
