"""The direct-convolution roofline: images a second if every multiply-add of the definition ran at the measured peak."""

from typing import Any

from fastgan.bench.network import Layer, flops, layer_flops


def generator_flops(generator: list[Layer]) -> int:
    """Of one generated image."""
    return flops(generator)


def step_flops(generator: list[Layer], discriminator: list[Layer], r1: bool) -> int:
    """Of one image of a training step: what the loop's own gradients need, each pass by direct convolution.

    D on the real and on the generated image: forward, weight gradients, and input gradients but for the first layer.
    G: its forward (once), D's forward, weight and input gradients, then G's own but for the input of its first layer.
    R1: the gradient of the logit by the image, and its two derivatives.
    """
    g, d = flops(generator), flops(discriminator)
    first_g, first_d = layer_flops(generator[0]), layer_flops(discriminator[0])
    total = 3 * g - first_g + 9 * d - 2 * first_d
    return total + 3 * d if r1 else total


def mark(record: dict[str, Any]) -> None:
    """Set the record's share of the roofline from its speed and its machine's peak, both as they are known now."""
    speed, gflop = record["img_per_s"], record.get("gflop_per_image")
    if speed and gflop:
        record["roofline_fraction"] = fraction(speed["p50"], gflop * 1e9, record["machine"])


def fraction(img_per_s: float, flops_per_image: float, machine: dict[str, Any]) -> float | None:
    """Share of the roofline; more than 1 takes fewer multiplications than the definition has.

    None where no peak is known or nothing is multiplied.
    """
    peak = peak_flops(machine)
    return img_per_s * flops_per_image / peak if peak and flops_per_image else None


def peak_flops(machine: dict[str, Any]) -> float | None:
    """Operations a second that were measured: of matrix products on the GPU where one computes, else on the CPU."""
    if gpu := machine.get("gpu"):
        return gpu["matmul_tflops"] * 1e12
    return machine["fma_gflops"] * 1e9 if machine["fma_gflops"] else None
