"""Training and reading of the small CNN that judges images: in the study and as a feature extractor."""

import contextlib
import math
from collections.abc import Iterator

import numpy as np
import torch
from torch.nn import functional as F

from fastgan.device import autocast
from fastgan.metrics.batches import Augment, Batches, Mix
from fastgan.models.classifier import SmallClassifier
from fastgan.models.pixels import to_float
from fastgan.progress import Progress, silent

BATCH = 64
WIDTH = 16
LR = 1.5e-2
WEIGHT_DECAY = 1e-2


def train_classifier(
    images: np.ndarray,
    labels: np.ndarray,
    *,
    num_classes: int,
    steps: int,
    batch: int = BATCH,
    seed: int = 0,
    augment: Augment | None = None,
    mix: Mix | None = None,
    width: int = WIDTH,
    lr: float = LR,
    device: str | torch.device = "cpu",
    precision: str = "fp32",
    progress: Progress = silent,
) -> SmallClassifier:
    """Train a `SmallClassifier` for `steps` steps of AdamW, the learning rate rising and falling once.

    images: uint8 [N, H, W, C]; labels: int64 [N] in [0, num_classes). With `mix`, `round(batch * share)`
    images of every batch come from the second source and the rest from the first; the number of steps and the
    batch stay the same. No image is used to decide when to stop. The result is in eval mode.

    The weights at the start, the order and the augmentation are functions of (seed, step) alone, and the CPU
    computes on one thread (several gain little on a network this small): the same call gives the same weights
    on one machine.

    Raises:
        ValueError: arguments of the wrong shape, type or range.
    """
    device = torch.device(device)
    _check(images, labels, num_classes, steps, batch)
    if mix is not None:
        _check(mix.images, mix.labels, num_classes, steps, batch)
    batches = Batches(images, labels, batch, seed, augment, mix)
    model = SmallClassifier(images.shape[1:3], images.shape[3], num_classes, width).init_weights(seed).train()
    model = model.to(device, memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=WEIGHT_DECAY, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _lr_factor(step, steps))
    scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")
    with one_torch_thread():
        for step in range(steps):
            pixels, targets = (torch.from_numpy(part).to(device) for part in batches(step))
            with autocast(device, precision):
                logits = model(to_float(pixels))
            loss = F.cross_entropy(logits.float(), targets)
            optimiser.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()
            scaler.step(optimiser)
            scaler.update()
            schedule.step()
            progress(step + 1, steps, "")
    return model.eval()


@torch.inference_mode()
def predict(model: SmallClassifier, images: np.ndarray, *, batch: int = 500) -> np.ndarray:
    """The class the model gives each image: uint8 [N, H, W, C] to int64 [N]."""
    device = next(model.parameters()).device
    parts = [
        model(to_float(torch.tensor(images[i : i + batch], device=device))).argmax(1).cpu().numpy()
        for i in range(0, len(images), batch)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def auto_steps(n: int, batch: int = BATCH) -> int:
    """Optimiser steps for `n` training images: fifty passes, but at least 300 and at most 1000 steps."""
    return int(np.clip(50 * n // batch, 300, 1000))


@contextlib.contextmanager
def one_torch_thread() -> Iterator[None]:
    """Run torch's CPU operations on the calling thread alone while the block lasts."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _lr_factor(step: int, steps: int) -> float:
    """Share of the highest learning rate: a straight rise over a fifth of the steps, half a cosine down to 0."""
    rise = max(1, steps // 5)
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def _check(images: np.ndarray, labels: np.ndarray, num_classes: int, steps: int, batch: int) -> None:
    if images.dtype != np.uint8 or images.ndim != 4 or len(images) == 0:
        raise ValueError(
            f"train_classifier: images must be uint8 [N, H, W, C] with N >= 1, got {images.dtype} {list(images.shape)}"
        )
    if labels.shape != (len(images),) or labels.dtype != np.int64:
        raise ValueError(
            f"train_classifier: labels must be int64 [{len(images)}], got {labels.dtype} {list(labels.shape)}"
        )
    if labels.min() < 0 or labels.max() >= num_classes:
        raise ValueError(
            f"train_classifier: labels must be in [0, num_classes={num_classes}), got {labels.min()} to {labels.max()}"
        )
    if steps < 1 or batch < 2:
        raise ValueError(f"train_classifier: steps must be >= 1 and batch >= 2, got {steps} and {batch}")
