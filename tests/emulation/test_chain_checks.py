"""The checks that mutants are put to, on the kernels as they are."""

import pytest

from .chain_table import NVIDIA

NAMES = {  # the targets of each check in `make test-emulation`; the full one has both
    "transposed_forward": NVIDIA,
    "forward": ("sm_80",),
    "gradients_of_a_transposed_convolution": ("sm_80",),
    "input_gradient": ("sm_80",),
    "weight_gradient_in_splits": ("sm_80",),
    "scale_and_shift_by_sample": ("sm_80",),
    "sums_in_every_order": NVIDIA,
    "splits_in_every_order": ("sm_80",),
    "padding_is_of_z": ("sm_80",),
    "statistics_are_of_what_is_stored": ("sm_80",),
    "statistics_far_from_zero": ("sm_80",),
    "tf32_is_rounded": ("sm_80",),
    "slopes_at_zero": ("sm_80",),
    "pixels_of_every_kind": ("sm_80",),
    "batch_norm_vectors": ("sm_80",),
}


@pytest.mark.parametrize(
    ("name", "target"),
    [
        pytest.param(name, target, marks=pytest.mark.emulation if target in targets else pytest.mark.emulation_full)
        for name, targets in NAMES.items()
        for target in NVIDIA
    ],
)
def test_on_the_kernels_as_they_are(rig, name, target):
    rig.chain_checks.CHECKS[name](rig.chain_checks.Subject(target))


def test_every_check_is_named(rig):
    assert set(rig.chain_checks.CHECKS) == set(NAMES)
