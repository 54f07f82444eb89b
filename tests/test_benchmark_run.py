"""Runs of a benchmark: results are kept, interrupted runs go on, and one model sees the test."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import made
from made.benchmark import runner
from made.benchmark.combinations import best_power, bound, halves
from made.benchmark.results import BEST_POWER, COMBINATIONS, KEPT, MEAN, MIXTURE, PRODUCT
from made.benchmark.runner import Outcome, Plan, run
from made.benchmark.suites import Suite, find_sets
from made.density import TrainingInterrupted
from made.ensemble import Combination
from made.errors import OptionError, ResultsError
from made.training.state import Epoch
from tiny_suites import (
    SETS,
    SIZES,
    arrays_of,
    made_up,
    quick_fit,
    store,
    tiny_suite,
    write_data,
)


@pytest.fixture
def suite() -> Suite:
    return tiny_suite()


@pytest.fixture
def plan(suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.setattr(runner, "fit_timed", quick_fit)
    data = write_data(tmp_path / "data")
    return Plan(suite, data, tmp_path / "out", budget="20s", threads=1, progress=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Plan, dict[str, Any]]]:
    place = tmp_path_factory.mktemp("finished")
    plan = Plan(
        tiny_suite(), write_data(place / "data"), place / "out", budget="20s", threads=1,
        progress=False,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "fit_timed", quick_fit)
        yield plan, done(plan, "first")


def outcome(plan: Plan, name: str) -> Outcome:
    return next(run(plan, find_sets(plan.suite, [name])))


def done(plan: Plan, name: str) -> dict[str, Any]:
    found = outcome(plan, name)
    assert found.error is None, found.error
    assert found.result is not None
    return found.result


def never(*arguments: Any, **named: Any) -> Any:
    raise AssertionError("this must not be called")


def test_a_result_holds_what_was_measured(finished: tuple[Plan, dict[str, Any]]) -> None:
    plan, result = finished
    stored = json.loads((plan.out / "tiny" / "first-default-seed0.json").read_text())
    assert stored["test_nll"] == result["test_nll"]
    assert (stored["suite"], stored["set"], stored["seed"]) == ("tiny", "first", 0)
    assert stored["rows"] == SIZES
    assert stored["budget_seconds"] == 20.0
    assert stored["data"]["test"] == plan.suite.sets["first"].splits["test"].sha256
    assert {"made", "torch", "numpy", "numba", "python"} <= set(stored["versions"])
    assert {"processor", "cores", "threads"} <= set(stored["machine"])
    network = stored["configuration"]["networks"][0]
    assert network["network"]["hidden"] == [8]
    assert network["training"]["members"] == 4
    assert [size for size, _ in stored["by_orderings"]] == [1, 2, 4]
    assert stored["epochs"] == 4
    assert 1 <= len(stored["history"]) <= 4
    assert stored["history"][-1][1] == pytest.approx(network["validation_nll"], abs=0.1)
    assert not (plan.work("first") / "checkpoint").exists()


def test_the_figure_is_the_one_of_the_model(finished: tuple[Plan, dict[str, Any]]) -> None:
    plan, result = finished
    density = made.load(plan.work("first") / "chosen.made")
    scores = density.log_prob(arrays_of("first")["test"])
    assert result["test_nll"] == pytest.approx(-scores.mean(), abs=1e-4)
    assert result["test_standard_error"] == pytest.approx(
        scores.std(ddof=1) / len(scores) ** 0.5, rel=1e-3
    )
    assert result["validation_nll"] == -(density.combined.validation_log_prob or 0.0)


def test_combinations_are_those_of_the_members(finished: tuple[Plan, dict[str, Any]]) -> None:
    plan, result = finished
    lines = {line["combination"]: line for line in result["combinations"]}
    assert tuple(lines) == COMBINATIONS
    density = made.load(plan.work("first") / "chosen.made")
    members = density.member_log_probs(arrays_of("first")["test"])
    mixture = np.logaddexp.reduce(members, axis=1) - np.log(4)
    assert lines[MEAN]["test_nll"] == pytest.approx(-members.mean(), abs=1e-4)
    assert lines[MIXTURE]["test_nll"] == pytest.approx(-mixture.mean(), abs=1e-4)
    # All 32 rows can be counted, so what log Z of the product is, is known.
    every_row = np.array(list(np.ndindex(*[2] * 5)), dtype=np.uint8)
    log_z = np.log(np.exp(density.member_log_probs(every_row).mean(axis=1)).sum())
    product = lines[PRODUCT]
    assert product["log_normalizer_lower"] <= log_z <= product["log_normalizer_upper"]
    conservative = members.mean(axis=1) - product["log_normalizer_upper"]
    assert product["test_nll"] == pytest.approx(-conservative.mean(), abs=1e-4)
    assert product["gain"] == pytest.approx((conservative - mixture).mean(), abs=1e-4)
    assert lines[KEPT]["test_nll"] == result["test_nll"]


def test_draws_that_tuned_a_power_do_not_bound_it() -> None:
    random = np.random.default_rng(0)
    valid, drawn = (random.normal(-3, 0.5, size=(200, 3)) for _ in range(2))
    found = best_power(valid, drawn)
    assert found.name == BEST_POWER
    tuning, fresh = halves(drawn)
    assert len(tuning) + len(fresh) == len(drawn)
    assert found.normalizer == bound(found.combination, fresh)
    # Other fresh rows change the bound and not the choice.
    other = best_power(valid, np.concatenate([tuning, fresh + random.normal(size=fresh.shape)]))
    assert other.combination.power == found.combination.power
    assert other.normalizer != found.normalizer
    assert isinstance(found.combination, Combination)


def test_finished_sets_are_kept(
    finished: tuple[Plan, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, result = finished
    monkeypatch.setattr(runner, "run_set", never)
    again = outcome(plan, "first")
    assert again.kept
    assert again.result is not None
    assert again.result["test_nll"] == result["test_nll"]


def test_two_recipes_are_compared_by_rows(
    finished: tuple[Plan, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, first = finished

    def searched(train: Any, valid: Any, used: float, *, search: float, **how: Any) -> made.Density:
        assert search == 20.0
        return quick_fit(train, valid, used, **how | {"seed": 5})

    monkeypatch.setattr(runner, "fit_timed", searched)
    found = done(
        Plan(plan.suite, plan.data, plan.out, "search", "20s", threads=1, progress=False), "first"
    )
    assert found["recipe"] == "search"
    gain = found["against"]["default"]
    assert gain["gain"] == pytest.approx(first["test_nll"] - found["test_nll"])
    assert gain["standard_error"] > 0


def test_a_set_that_fails_does_not_lose_the_others(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails_first(train: Any, valid: Any, used: float, **how: Any) -> made.Density:
        if (train == arrays_of("first")["train"]).all():
            raise RuntimeError("no luck")
        return quick_fit(train, valid, used, **how)

    monkeypatch.setattr(runner, "fit_timed", fails_first)
    found = list(run(plan, find_sets(plan.suite)))
    assert [one.name for one in found] == list(SETS)
    assert str(found[0].error) == "no luck"
    assert found[1].result is not None
    assert not plan.result("first").exists()
    assert plan.result("second").exists()


def test_an_interrupted_fit_goes_on(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(epoch: Epoch) -> None:
        if epoch.epoch == 2:
            signal.raise_signal(signal.SIGINT)

    resumed = []

    def interrupted(train: Any, valid: Any, used: float, **how: Any) -> made.Density:
        return quick_fit(train, valid, used, **how, on_epoch=stop)

    def noted(train: Any, valid: Any, used: float, **how: Any) -> made.Density:
        resumed.append(how["resume"])
        return quick_fit(train, valid, used, **how)

    monkeypatch.setattr(runner, "fit_timed", interrupted)
    with pytest.raises(TrainingInterrupted):
        outcome(plan, "first")
    assert (plan.work("first") / "checkpoint").exists()
    assert not plan.commitment("first").exists()
    monkeypatch.setattr(runner, "fit_timed", noted)
    assert done(plan, "first")["epochs"] == 4
    assert resumed == [True]


def test_a_fit_that_could_not_be_saved_is_not_lost(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise OSError("the disk is full")

    def careful(train: Any, valid: Any, used: float, **how: Any) -> made.Density:
        return quick_fit(train, valid, used, **how, checkpoint_every=0)

    with monkeypatch.context() as patch:
        patch.setattr(runner, "fit_timed", careful)
        patch.setattr(made.Density, "save", full)
        assert "disk is full" in str(outcome(plan, "first").error)
    assert (plan.work("first") / "checkpoint").exists()
    assert done(plan, "first")["epochs"] == 4
    assert not (plan.work("first") / "checkpoint").exists()


def test_a_crash_after_opening_goes_on_with_the_same_model(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(runner, "write_result", full)
        assert "disk is full" in str(outcome(plan, "first").error)
    opened = json.loads(plan.commitment("first").read_text())
    assert opened["opened"] is not None
    monkeypatch.setattr(runner, "fit_timed", never)
    result = done(plan, "first")
    assert result["model_sha256"] == opened["model_sha256"]
    assert json.loads(plan.commitment("first").read_text()) == opened


def test_another_model_does_not_see_opened_rows(plan: Plan) -> None:
    done(plan, "first")
    plan.result("first").unlink()
    made.fit(arrays_of("first")["train"], hidden=(4,), max_epochs=1, members=2, seed=3).save(
        plan.work("first") / "chosen.made"
    )
    error = outcome(plan, "first").error
    assert isinstance(error, ResultsError)
    assert "were shown to another model" in str(error)
    assert not plan.result("first").exists()


def test_a_result_of_another_version_is_not_overwritten(plan: Plan) -> None:
    store(plan.out, made_up("tiny", "first", 2.0))
    path = plan.result("first")
    path.write_text(path.read_text().replace("result 1", "result 0"))
    error = outcome(plan, "first").error
    assert "'made benchmark result 0'" in str(error)
    assert "result 0" in path.read_text()


def test_recipes_and_budgets_are_checked(suite: Suite, tmp_path: Path) -> None:
    assert Plan(suite, tmp_path, tmp_path).recipe == "default"
    assert Plan(suite, tmp_path, tmp_path).seconds == 3.0
    with pytest.raises(OptionError, match=r"no recipe 'serach'\. Did you mean 'search'"):
        Plan(suite, tmp_path, tmp_path, "serach")
    with pytest.raises(OptionError, match="A time is a number of seconds"):
        Plan(suite, tmp_path, tmp_path, budget="soon")
