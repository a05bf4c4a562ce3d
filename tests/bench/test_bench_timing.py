"""Who is timed when, and what is made of the numbers."""

import pytest
from fastgan.bench.timing import interleaved, percentiles, ratio
from fastgan.bench.worker import block


def test_engines_take_turns_and_every_other_round_runs_backwards(fake_engine):
    turns = []
    engines = {name: fake_engine(name, turns) for name in "abc"}
    seconds = interleaved(engines, 3)
    assert "".join(turns) == "abc" + "cba" + "abc"
    assert {name: len(values) for name, values in seconds.items()} == {"a": 3, "b": 3, "c": 3}


def test_each_turn_discards_two_calls_and_lasts():
    asked = []

    class Engine:
        def time(self, discard, seconds):
            asked.append((discard, seconds))
            return 1.0

    interleaved({"a": Engine()}, 2)
    assert asked == [(2, 0.3)] * 2


def test_a_hopeless_engine_sits_out_after_one_round(fake_engine):
    turns = []
    engines = {name: fake_engine(name, turns, seconds=[s]) for name, s in (("a", 0.1), ("slow", 0.9), ("b", 0.7))}
    seconds = interleaved(engines, 2)
    assert turns == ["a", "slow", "b", "b", "a"]
    assert seconds["slow"] == [0.9]


def test_an_interruption_leaves_the_finished_turns(fake_engine):
    kept = {}
    engines = {"a": fake_engine("a", [], seconds=[0.1, 0.2]), "b": fake_engine("b", [], seconds=[0.3, None])}
    with pytest.raises(KeyboardInterrupt):
        interleaved(engines, 2, keep=kept)
    assert kept == {"a": [0.1], "b": [0.3]}


def test_a_block_discards_first_and_counts_every_later_call(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: clock[0])
    made = []

    def call():
        made.append(None)
        clock[0] += 0.1

    calls, seconds = block(call, 2, 0.25)
    assert (len(made), calls) == (5, 3)
    assert seconds == pytest.approx(0.3)


def test_a_very_slow_engine_is_warmed_up_once(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: clock[0])

    def call():
        clock[0] += 30.0

    assert block(call, 2, 0.3) == (1, 30.0)
    assert clock[0] == 60.0


def test_percentiles_are_members_but_for_the_median():
    assert percentiles([5, 1, 2, 3, 4, 6]) == {"p20": 2, "p50": 3.5, "p80": 5}
    assert percentiles(list(range(11))) == {"p20": 2, "p50": 5, "p80": 8}


def test_the_ratio_compares_rounds_with_each_other():
    # A machine that gets ten times slower half-way says nothing about either.
    assert ratio([1.0, 10.0, 10.0], [2.0, 20.0, 20.0]) == 2.0
