"""Who can be timed: one row a backend, one file an engine. Engines are loaded in processes of their own."""

import importlib.util
import subprocess
from dataclasses import dataclass, field
from typing import Any

GENERATOR, TRAIN_STEP, TRAIN_STEP_R1 = "generator", "train-step", "train-step-r1"
OURS = "fastgan"


@dataclass(frozen=True)
class Backend:
    """A way to run the benchmarked networks.

    name: in tables and records; module: its file in this folder; tasks: what it can run; packages: what it imports;
    install: how to get them; form: "stock" weights, or "folded" ones without batch norms (evaluation only);
    options: for its `prepare`; rare: left out unless asked for; foreign: may live in another Python.
    """

    name: str
    module: str
    tasks: tuple[str, ...]
    packages: tuple[str, ...] = ("torch",)
    install: str = "torch"
    form: str = "stock"
    options: dict[str, Any] = field(default_factory=dict)
    rare: bool = False
    foreign: bool = False


EVERY = (GENERATOR, TRAIN_STEP, TRAIN_STEP_R1)
_ONNX = {"packages": ("onnx", "onnxruntime", "onnxscript"), "install": "onnx onnxscript onnxruntime"}
_OPENVINO = {"packages": ("onnx", "onnxscript", "openvino"), "install": "onnx onnxscript openvino"}
_TENSORFLOW = {"packages": ("tensorflow",), "install": "tensorflow-cpu", "foreign": True, "form": "folded"}
_JAX = {"packages": ("jax",), "install": "jax", "foreign": True, "form": "folded"}

BACKENDS = (
    Backend(OURS, "ours", EVERY),
    Backend("eager", "torch_eager", EVERY, options={"layout": "nchw"}),
    Backend("channels-last", "torch_eager", EVERY, options={"layout": "nhwc"}),
    Backend("channels-last-folded", "torch_eager", (GENERATOR,), form="folded", options={"layout": "nhwc"}),
    # The compiler has no second derivatives, so no R1.
    Backend("compile", "torch_compile", EVERY[:2], options={"layout": "nhwc", "mode": "default"}),
    Backend(
        "compile-folded",
        "torch_compile",
        (GENERATOR,),
        form="folded",
        options={"layout": "nhwc", "mode": "default"},
    ),
    Backend(
        "max-autotune",
        "torch_compile",
        EVERY[:2],
        form="folded",
        options={"layout": "nhwc", "mode": "max-autotune"},
        rare=True,
    ),
    Backend("onnxruntime", "onnx_runtime", (GENERATOR,), form="folded", **_ONNX),
    Backend("openvino", "open_vino", (GENERATOR,), form="folded", **_OPENVINO),
    Backend("tensorflow", "tensor_flow", EVERY, options={"xla": False}, **_TENSORFLOW),
    Backend("tensorflow-xla", "tensor_flow", EVERY, options={"xla": True}, **_TENSORFLOW),
    Backend("jax", "jax_xla", EVERY, **_JAX),
)
BY_NAME = {backend.name: backend for backend in BACKENDS}


def is_ours(name: str) -> bool:
    """Whether a backend of this name is fastgan: as it is called by default, or with a choice forced."""
    return name == OURS or name.startswith(f"{OURS}-")


def missing(backend: Backend, python: str | None = None) -> str | None:
    """None if what the backend imports is installed, else one line with the way to get it.

    python: the interpreter it would run in, None for this one.
    """
    if python is None:
        absent = [name for name in backend.packages if importlib.util.find_spec(name) is None]
    else:
        code = "import importlib.util as u, sys; print(*[n for n in sys.argv[1:] if u.find_spec(n) is None])"
        try:
            done = subprocess.run([python, "-c", code, "numpy", *backend.packages], capture_output=True, text=True)
        except OSError as error:
            return f"{python} does not run: {error.strerror}"
        absent = done.stdout.split()
    if not absent:
        return None
    pip = f"{python} -m pip" if python else "pip"
    return f"not installed: {pip} install {backend.install}"
