"""ONNX Runtime on a GPU: its CUDA or its TensorRT provider. Latents and images stay on the device."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from fastgan.bench.engines.onnx_file import write_onnx
from fastgan.bench.network import Arrays
from fastgan.bench.place import Place


class Engine:
    """Options: "provider", of ONNX Runtime; what it does not take falls to the next."""

    def __init__(self, job: dict[str, Any], arrays: Arrays):
        self.place = Place(job)
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = job["threads"]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "generator.onnx"
            inputs = write_onnx(path, job, arrays, self.place.dtype)
            self.session = onnxruntime.InferenceSession(str(path), settings, providers=_providers(job))
        if (wanted := job["options"]["provider"]) not in self.session.get_providers():
            raise ValueError(f"{wanted} does not load here")
        kind = self.place.device.type
        self.binding = self.session.io_binding()
        for name, array in inputs.items():
            self.binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array, kind, 0))
        self.binding.bind_output("images", kind, 0)
        self.run_options = onnxruntime.RunOptions()
        self.run_options.add_run_config_entry("disable_synchronize_execution_providers", "1")

    def call(self) -> None:
        self.session.run_with_iobinding(self.binding, self.run_options)

    def check(self) -> dict[str, np.ndarray]:
        self.call()
        self.synchronise()
        return {"images": self.binding.copy_outputs_to_cpu()[0]}

    def reset(self) -> None:
        pass

    def synchronise(self) -> None:
        self.place.synchronise()

    def versions(self) -> dict[str, str]:
        return {"onnxruntime": onnxruntime.__version__}


def _providers(job: dict[str, Any]) -> list[Any]:
    """The provider asked for with its switches, and those that take what it does not."""
    rows = [
        ("TensorrtExecutionProvider", {"trt_fp16_enable": str(job.get("precision") == "fp16")}),
        ("CUDAExecutionProvider", {"use_tf32": "0"}),
        ("CPUExecutionProvider", {}),
    ]
    first = [name for name, _ in rows].index(job["options"]["provider"])
    return rows[first:]


def prepare(job: dict[str, Any], arrays: Arrays) -> Engine:
    return Engine(job, arrays)
