"""OpenVINO on its CPU device, held to float32."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from fastgan.bench.engines.onnx_file import write_onnx
from fastgan.bench.network import Arrays


class Engine:
    def __init__(self, job: dict[str, Any], arrays: Arrays):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "generator.onnx"
            self.inputs = write_onnx(path, job, arrays)
            core = openvino.Core()
            # Without the hint it computes in bf16 where the processor has that.
            config = {
                "INFERENCE_PRECISION_HINT": "f32",
                "INFERENCE_NUM_THREADS": job["threads"],
                "NUM_STREAMS": 1,
                "PERFORMANCE_HINT": "LATENCY",
            }
            self.request = core.compile_model(core.read_model(path), "CPU", config).create_infer_request()

    def call(self) -> np.ndarray:
        return self.request.infer(self.inputs, share_inputs=True, share_outputs=True)[0]

    def check(self) -> dict[str, np.ndarray]:
        return {"images": np.array(self.call())}

    def reset(self) -> None:
        pass

    def versions(self) -> dict[str, str]:
        return {"openvino": openvino.__version__}


def prepare(job: dict[str, Any], arrays: Arrays) -> Engine:
    return Engine(job, arrays)
