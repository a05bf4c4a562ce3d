"""The checks that mutants are put to, on the kernels as they are."""

import pytest

from .chain_table import NVIDIA

NAMES = (
    "transposed_forward",
    "forward",
    "gradients_of_a_transposed_convolution",
    "input_gradient",
    "weight_gradient_in_splits",
    "scale_and_shift_by_sample",
    "sums_in_every_order",
    "splits_in_every_order",
    "padding_is_of_z",
    "statistics_are_of_what_is_stored",
    "statistics_far_from_zero",
    "tf32_is_rounded",
    "slopes_at_zero",
    "pixels_of_every_kind",
    "batch_norm_vectors",
)
SAMPLED = {("padding_is_of_z", "sm_90"), ("slopes_at_zero", "sm_80"), ("statistics_far_from_zero", "sm_80")}


@pytest.mark.parametrize(
    ("name", "target"),
    [
        pytest.param(
            name,
            target,
            id=f"{name}-{target}",
            marks=[] if (name, target) in SAMPLED else [pytest.mark.emulation],
        )
        for name in NAMES
        for target in NVIDIA
    ],
)
def test_on_the_kernels_as_they_are(rig, name, target):
    rig.chain_checks.CHECKS[name](rig.chain_checks.Subject(target))


def test_every_check_is_named(rig):
    assert set(rig.chain_checks.CHECKS) == set(NAMES)
