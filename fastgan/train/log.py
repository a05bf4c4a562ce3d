"""The record of a training: metrics.jsonl always, TensorBoard beside it."""

import json
import os
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter


class TrainLog:
    """Appends rows to RUN/metrics.jsonl and their numbers to RUN/tensorboard.

    On resume the rows after the checkpoint are cut off; what stays of an interruption is a row at the step it stopped.
    """

    def __init__(self, run: Path, kept_bytes: int = 0, images: int = 0) -> None:
        path = run / "metrics.jsonl"
        self._file = open(path, "ab")  # noqa: SIM115 - closed by close()
        os.truncate(path, min(kept_bytes, self._file.tell()))
        self._file.seek(0, os.SEEK_END)
        self._board = SummaryWriter(run / "tensorboard", purge_step=images + 1 if images else None)

    @property
    def size(self) -> int:
        """Bytes written so far, to the disk: what a checkpoint records."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._file.tell()

    def write(self, row: dict[str, Any]) -> None:
        """Append one row; `images` is the horizontal axis of its numbers in TensorBoard."""
        self._file.write((json.dumps(row) + "\n").encode())
        self._file.flush()
        for name, value in row.items():
            if isinstance(value, float):
                self._board.add_scalar(name, value, row["images"])

    def close(self) -> None:
        """Flush and close both."""
        self._file.close()
        self._board.close()
