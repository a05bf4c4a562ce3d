"""Stage `device`: what is there, whether the binary has code for it, and one launch on a stream of its own.

Prints a JSON object; fails where there is no device, unless the CPU stands in for it.
"""

import json
import os
import sys
from typing import Any

import torch

from fastgan import backends, build_info, cuda_code, losses, native


def code() -> str:
    """What the device runs of our binary, in words."""
    facts = native.build_facts()
    if not facts["cuda"]:
        return "nothing: CUDA was not built"
    build = cuda_code.Build.of(facts)
    why_none = cuda_code.why_none_here(build)
    return f"nothing: {why_none}" if why_none else cuda_code.code_for(torch.cuda.get_device_capability(), build.archs)


def late_on_a_stream(backend: str) -> None:
    """The logits are written late on a side stream: an operator on another stream would read them too early."""
    stream = torch.cuda.Stream()
    real, fake = torch.zeros(4096, device="cuda"), torch.zeros(4096, device="cuda")
    with backends.use_backend(backend):
        losses.gan_loss(real, fake, family="wasserstein")  # compiles, if it has to
        torch.cuda.synchronize()
        with torch.cuda.stream(stream):
            torch.cuda._sleep(200_000_000)
            real.fill_(3.0)
            fake.fill_(-2.0)
            result = losses.gan_loss(real, fake, family="wasserstein")
    stream.synchronize()
    assert (result.d_loss.item(), result.g_loss.item()) == (-5.0, 2.0), f"{backend} reads too early"


def launched() -> dict[str, str | None]:
    """For each GPU backend why it cannot run here, None if it did, on the stream it was called on."""
    said = {}
    for backend in ("cuda", "triton"):
        said[backend] = backends.why_not("gan_loss", backend, "cuda", torch.float32)
        if said[backend] is None:
            late_on_a_stream(backend)
    return said


def main() -> None:
    found: dict[str, Any] = {"facts": build_info.facts(), "stream": None, "backends": {}, "code": None}
    if native.ops_missing() is None:
        found["stream"] = torch.ops.fastgan_C.finds_cuda_stream()
    if os.environ.get("FASTGAN_GPU_DRY_RUN"):
        found["said"] = "dry run: no device was asked for"
    elif not torch.cuda.is_available():
        raise SystemExit("torch sees no CUDA device")
    else:
        from fastgan.bench import cuda_device

        found["device"] = cuda_device.facts("fp16")
        found["code"] = code()
        found["backends"] = launched()
        found["said"] = f"{found['device']['name']}; our binary runs {found['code']}"
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
