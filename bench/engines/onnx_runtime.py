"""ONNX Runtime on its CPU provider."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from fastgan.bench.engines.onnx_file import write_onnx
from fastgan.bench.network import Arrays


class Engine:
    def __init__(self, job: dict[str, Any], arrays: Arrays):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = job["threads"]
        options.inter_op_num_threads = 1
        if job["waiting"] == "passive":
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
            options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "generator.onnx"
            self.inputs = write_onnx(path, job, arrays)
            self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def call(self) -> np.ndarray:
        return self.session.run(None, self.inputs)[0]

    def check(self) -> dict[str, np.ndarray]:
        return {"images": self.call()}

    def reset(self) -> None:
        pass

    def versions(self) -> dict[str, str]:
        return {"onnxruntime": onnxruntime.__version__}


def prepare(job: dict[str, Any], arrays: Arrays) -> Engine:
    return Engine(job, arrays)
