"""`fastgan bench compare`: fails at the first regression beyond both slacks, and only there."""

import json

import pytest
from fastgan.bench.compare import Slack, compare

from fastgan.cli.app import run


@pytest.mark.parametrize(
    ("speed", "bad"),
    [(100.0, False), (96.0, False), (94.0, True), (120.0, False)],
    ids=["same", "4% slower", "6% slower", "faster"],
)
def test_beyond_five_per_cent_is_a_regression(result, ours, speed, bad):
    found = compare(result(("a", ours, 100.0)), result(("a", ours, speed)))
    assert (found.regression is not None) is bad


def test_a_large_share_of_next_to_nothing_is_none(result, ours):
    # 64 images in 64 us became 64 in 84 us: 31%, but 20 us.
    before, after = result(("a", ours, 1e6)), result(("a", ours, 64 / 84e-6))
    assert compare(before, after).regression is None
    assert compare(before, after, Slack(seconds=10e-6)).regression
    assert compare(before, after, Slack(relative=0.4, seconds=10e-6)).regression is None


def test_the_first_of_several_is_named(result, ours):
    before = result(("a", ours, 100.0), ("b", ours, 100.0), ("c", ours, 100.0))
    after = result(("c", ours, 50.0), ("b", ours, 60.0), ("a", ours, 100.0))
    found = compare(before, after)
    assert found.regression.startswith("generator, b, batch 64: 640.000 ms became 1066.667 ms (+66.7%)")
    assert len(found.lines) == 3


def test_a_slower_peer_is_nobodys_regression(result, ours):
    before, after = (result(("a", ours, 100.0), ("a", "eager", speed)) for speed in (100.0, 10.0))
    assert compare(before, after).regression is None


def test_a_refusal_is_a_regression(result, ours):
    found = compare(result(("a", ours, 100.0)), result(("a", ours, None)))
    assert found.regression == "generator, a, batch 64: wrong: images differ"
    assert compare(result(("a", ours, None)), result(("a", ours, 100.0))).regression is None


def test_cases_of_one_side_alone_are_told(result, ours):
    found = compare(result(("a", ours, 1.0), ("b", ours, 1.0)), result(("a", ours, 1.0), ("c", ours, 1.0)))
    assert found.left_out == ["generator, b, batch 64", "generator, c, batch 64"]
    with pytest.raises(ValueError, match="no case of fastgan in common"):
        compare(result(("a", ours, 1.0)), result(("b", ours, 1.0)))


def test_memory_is_compared_in_bytes(result, ours):
    before, after = result(("a", ours, None)), result(("a", ours, None))
    for side, size in ((before, 100e6), (after, 110e6)):
        side["records"][0] |= {"bytes": {"transient": size}, "refused": None}
    assert "100.000 MB became 110.000 MB" in compare(before, after).regression
    assert compare(after, before).regression is None


def command(capsys, *arguments):
    code = run(["bench", "compare", *map(str, arguments)])
    out, err = capsys.readouterr()
    return code, out, err


def test_the_command(result, ours, tmp_path, capsys):
    old, new, other = tmp_path / "old.json", tmp_path / "new.json", tmp_path / "other.json"
    old.write_text(json.dumps(result(("a", ours, 100.0))))
    new.write_text(json.dumps(result(("a", ours, 80.0))))
    other.write_text("[]")
    code, out, err = command(capsys, old, new)
    assert (code, out.count("\n")) == (1, 1)
    assert err.strip().splitlines()[-1].startswith("fastgan: regression: generator, a, batch 64: 640.000 ms")
    assert command(capsys, old, new, "--slack", "0.3")[0] == 0
    assert command(capsys, new, old)[0] == 0
    code, out, err = command(capsys, old, other)
    assert (code, out) == (1, "")
    assert "other.json is not a result of fastgan bench (bench/1)" in err
    other.write_text(json.dumps({**result(("a", ours, 100.0)), "format": "bench/9"}))
    assert "its format is 'bench/9'" in command(capsys, old, other)[2]
    assert command(capsys, old)[0] == 2
    code, _, err = command(capsys, old, tmp_path / "absent.json")
    assert code == 1
    assert "absent.json" in err
