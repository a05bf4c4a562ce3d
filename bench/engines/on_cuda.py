"""Who can be timed on a GPU: the rows, and why one cannot run here.

Names: "tuned" is cuDNN choosing by timing (cudnn.benchmark), "graph" the timed call as one CUDA graph, tuned too.
"""

import importlib
from collections.abc import Sequence
from typing import Any

from fastgan.bench.engines import EVERY, GENERATOR, OURS, Backend

from fastgan import backends
from fastgan.device import DTYPES

# What a chain begins with; the operators after it follow, or their refusal is the engine's.
_CHAIN = ("affine_act_conv2d", "affine_act_conv_transpose2d")
FORCED = ("triton", "cuda")

_NHWC = {"layout": "nhwc"}
_TUNED = {**_NHWC, "cudnn_benchmark": True}
_GRAPH = {**_TUNED, "graph": True}
_ONNX = {"packages": ("onnx", "onnxruntime", "onnxscript"), "install": "onnx onnxscript onnxruntime-gpu"}


def _forced(name: str) -> tuple[Backend, Backend]:
    options = {"backend": name, "frozen": False}
    return (
        Backend(f"{OURS}-{name}", "ours", EVERY, options={**_NHWC, **options}),
        Backend(f"{OURS}-{name}-graph", "ours", EVERY, options={**_GRAPH, **options}),
    )


def _folded(name: str, module: str = "torch_eager", **options: Any) -> Backend:
    return Backend(name, module, (GENERATOR,), form="folded", options=options)


BACKENDS = (
    Backend(OURS, "ours", EVERY, options=_NHWC),
    Backend(f"{OURS}-graph", "ours", EVERY, options={**_GRAPH, "batch_invariant": False}),
    Backend(f"{OURS}-whole-batch", "ours", (GENERATOR,), options={**_NHWC, "batch_invariant": False}),
    Backend(f"{OURS}-model", "ours", (GENERATOR,), options={**_NHWC, "frozen": False}),
    *(row for name in FORCED for row in _forced(name)),
    Backend("eager", "torch_eager", EVERY, options={"layout": "nchw"}),
    Backend("eager-tuned", "torch_eager", EVERY, options={"layout": "nchw", "cudnn_benchmark": True}),
    Backend("channels-last", "torch_eager", EVERY, options=_NHWC),
    Backend("channels-last-tuned", "torch_eager", EVERY, options=_TUNED),
    Backend("channels-last-graph", "torch_eager", EVERY, options=_GRAPH),
    _folded("channels-last-folded", **_NHWC),
    _folded("folded-tuned", **_TUNED),
    _folded("folded-graph", **_GRAPH),
    _folded("half-folded", **_TUNED, stored=True),
    _folded("half-folded-graph", **_GRAPH, stored=True),
    # The compiler has no second derivatives, so no R1.
    Backend("compile", "torch_compile", EVERY[:2], options={**_NHWC, "mode": "default"}),
    _folded("compile-folded", "torch_compile", **_NHWC, mode="default"),
    Backend("max-autotune", "torch_compile", EVERY[:2], form="folded", options={**_TUNED, "mode": "max-autotune"}),
    Backend(
        "onnxruntime-cuda",
        "onnx_runtime_cuda",
        (GENERATOR,),
        form="folded",
        options={"provider": "CUDAExecutionProvider"},
        **_ONNX,
    ),
    Backend(
        "onnxruntime-tensorrt",
        "onnx_runtime_cuda",
        (GENERATOR,),
        form="folded",
        options={"provider": "TensorrtExecutionProvider"},
        **_ONNX,
    ),
)


def unfit(backend: Backend, precision: str) -> str | None:
    """None if an installed backend can run here at this precision, else one line that says why not."""
    if backend.options.get("stored") and precision == "fp32":
        return "is for half precision"
    if provider := backend.options.get("provider"):
        if precision == "bf16":
            return "has no bf16 convolutions"
        if provider not in importlib.import_module("onnxruntime").get_available_providers():
            return f"the onnxruntime that is installed has no {provider}: pip install onnxruntime-gpu"
    if (name := backend.options.get("backend")) in FORCED:
        return why_not(name, precision)
    return None


def fit(rows: Sequence[Backend], precision: str, notes: list[str]) -> list[Backend]:
    """Those that can run here; each other adds its line to `notes`."""
    reasons = {backend.name: unfit(backend, precision) for backend in rows}
    notes += [f"{name}: {said}" for name, said in reasons.items() if said]
    return [backend for backend in rows if not reasons[backend.name]]


def why_not(name: str, precision: str, device: str = "cuda") -> str | None:
    """None if fastgan's backend `name` has the operators that a chain begins with, else the reason."""
    dtype = DTYPES[precision]
    return next((reason for op in _CHAIN if (reason := backends.why_not(op, name, device, dtype))), None)
