"""The format of budgets.json, one sentence a violation, and the project's kernels within their budgets."""

import json
from collections import Counter

import pytest

from .chain_table import NVIDIA, OTHERS
from .ptx import BankUse, Counters

ENTRY = {
    "kernel": "_k",
    "configuration": "float16 64x64",
    "target": "sm_80",
    "resources": {"registers": 128, "spills": 0, "shared": 4096, "tensor_cores": True},
    "launch": {"conflict_factor": 1.0, "warp_instructions": 1000},
}

AFFINE_ACT = ("_kernel", "_backward_kernel", "_conv_kernel", "_conv_input_grad_kernel", "_conv_weight_grad_kernel")
BESIDES = {
    "_batch_norm_affine_kernel",
    "_batch_norm_affine_backward_kernel",
    "_gan_loss_tile_kernel",
    "_gan_loss_merge_kernel",
}


@pytest.fixture
def written(rig, tmp_path):
    """written(entry, ...): budgets.load of a file with these entries."""

    def load(*entries, **more):
        path = tmp_path / "budgets.json"
        path.write_text(json.dumps({"format": 1, "budgets": entries, **more}))
        return rig.budgets.load(path)

    return load


def found(rig, registers=128, spills=0, shared=4096, tensor=True, shared_use=None, **launch):
    opcodes = Counter({"HMMA.16816.F32": 4} if tensor else {})
    counters = Counters(shared=shared_use or {}, **launch)
    use = rig.resources.Resources(registers, 0, spills, shared, opcodes, opcodes, Counter())
    return rig.budgets.Found("_k", "float16 64x64", "sm_80", use, counters)


def test_within_the_budget(rig, written):
    (budget,) = written(ENTRY).values()
    assert rig.budgets.check(found(rig, warp_instructions=1000), budget) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"registers": 129}, "registers is 129, the budget allows 128."),
        ({"spills": 2}, "spills is 2, the budget allows 0."),
        ({"tensor": False}, "no tensor-core instruction, the budget requires some."),
        ({"warp_instructions": 1001}, "warp_instructions is 1001, the budget allows 1000."),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_one_sentence_for_each_violation(rig, written, change, sentence):
    (budget,) = written(ENTRY).values()
    assert rig.budgets.check(found(rig, **change), budget) == [f"_k (float16 64x64, sm_80): {sentence}"]


def test_bank_conflicts_violate_a_budget(rig, written):
    (budget,) = written(ENTRY).values()
    (sentence,) = rig.budgets.check(found(rig, shared_use={"ld": BankUse(phases=10, cycles=15)}), budget)
    assert sentence.endswith("conflict_factor is 1.5, the budget allows 1.0.")


def test_no_budget_allows_what_the_device_lacks(rig, written):
    (budget,) = written({**ENTRY, "resources": {**ENTRY["resources"], "shared": 10**6}}).values()
    sentences = rig.budgets.check(found(rig, shared=200_000), budget)
    assert sentences == ["_k (float16 64x64, sm_80): 200000 bytes of shared memory, the device has 166912."]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({**ENTRY, "resources": {**ENTRY["resources"], "spills": 4}}, "spills must be 0"),
        ({**ENTRY, "launch": {"conflict_factor": 1.5}}, "conflict_factor is an exception"),
        ({**ENTRY, "reasons": {"spills": "once, before the loop"}}, "reasons must be of conflict_factor, got spills"),
        ({**ENTRY, "launch": {"speed": 9}}, "unknown keys speed"),
        ({**ENTRY, "resources": {"registers": 9}}, "resources must be registers, spills"),
    ],
    ids=["spills", "conflicts", "a reason for spills", "unknown key", "missing key"],
)
def test_an_entry_with_a_mistake(written, entry, message):
    with pytest.raises(ValueError, match=message):
        written(entry)


def test_an_exception_with_its_reason(written):
    assert written(
        {**ENTRY, "launch": {"conflict_factor": 1.5}, "reasons": {"conflict_factor": "once, before the loop"}}
    )


def test_a_file_with_a_mistake(written):
    with pytest.raises(ValueError, match="two entries for _k"):
        written(ENTRY, ENTRY)
    with pytest.raises(ValueError, match="format must be 1, got 2"):
        written(ENTRY, format=2)


@pytest.mark.parametrize(
    "target",
    [
        *(pytest.param(target, marks=pytest.mark.emulation) for target in NVIDIA),
        *(pytest.param(target, marks=pytest.mark.emulation_full) for target in OTHERS),
    ],
)
def test_gan_loss_is_within_its_budgets(rig, target):
    """The chain's are looked at where its values are."""
    budgets = rig.budgets.load()
    for case in rig.cases.GAN_LOSS:
        if target in case.targets:
            _, found = rig.budgets.examine(case, target)
            assert rig.budgets.violations(found, budgets) == []


def test_every_budget_is_of_a_case(rig):
    cases = {(case.configuration, target) for case in rig.cases.CASES for target in case.targets}
    assert {name[1:] for name in rig.budgets.load()} == cases


def test_every_kernel_is_compiled_for_every_target(rig):
    kernels = {target: set() for target in rig.compilation.TARGETS}
    for kernel, _, target in rig.budgets.load():
        kernels[target].add(kernel.partition("#")[0])
    assert set(kernels["sm_80"]) == {"_affine_act" + rest for rest in AFFINE_ACT} | BESIDES
    assert all(each == kernels["sm_80"] for each in kernels.values())


def test_every_product_is_on_tensor_cores(rig):
    """But where float32 is not to be rounded ("ieee")."""
    products = [b for b in rig.budgets.load().values() if b.kernel.startswith("_affine_act_conv")]
    assert products
    for budget in products:
        assert budget.resources["tensor_cores"] == (not budget.configuration.endswith("ieee")), budget.name


def test_budgets_and_launches_that_miss_each_other(rig, written):
    budgets = written(ENTRY, {**ENTRY, "kernel": "_other"})
    assert rig.budgets.violations([found(rig)], {}) == ["_k (float16 64x64, sm_80): no budget."]
    (sentence,) = rig.budgets.violations([found(rig)], budgets)
    assert sentence == "_other (float16 64x64, sm_80): a budget for what is not launched."


@pytest.mark.emulation
def test_the_command_prints_what_can_be_loaded(rig, tmp_path, capsys):
    rig.budgets.main(["gan_loss hinge", "sm_90"])
    path = tmp_path / "printed.json"
    path.write_text(capsys.readouterr().out)
    loaded = rig.budgets.load(path)
    assert len(loaded) == 2
    printed = loaded["_gan_loss_merge_kernel", "gan_loss hinge float16 2048", "sm_90"]
    assert printed.resources["spills"] == 0 and printed.launch["warp_instructions"] > 1000
