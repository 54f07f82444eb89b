"""Several networks of one fit: seeds, shares of the time, and going on after an interruption."""

from __future__ import annotations

import json
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import made
from made.cli import app
from made.density import TrainingInterrupted
from made.errors import CheckpointError, DivergedError, MadeNotice, OptionError
from made.fitting import RowSource, choose_recipe, networks
from made.fitting.recipe import resolve
from made.training import loop
from made.training.options import Budget
from made.training.step import TrainingStep

BITS = np.random.default_rng(0).integers(0, 2, size=(60, 6))
VALID = np.random.default_rng(1).integers(0, 2, size=(20, 6))
OPTIONS: dict[str, Any] = {
    "hidden": (8,), "members": 2, "orderings": 2, "batch_size": 10, "max_epochs": 4, "threads": 1,
    "learning_rate": 0.02, "device": "cpu", "combine": "mixture",
}  # fmt: skip
# Six steps an epoch.
STEPS = 24


class CountedStep(TrainingStep):
    """Counts the steps of all networks, and is stopped by Ctrl-C in one of them."""

    taken = 0
    stop_in: int | None = None

    def __call__(self, *arguments: Any) -> torch.Tensor:
        type(self).taken += 1
        if self.taken == self.stop_in:
            signal.raise_signal(signal.SIGINT)
        return super().__call__(*arguments)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> type[CountedStep]:
    class Step(CountedStep):
        pass

    monkeypatch.setattr(loop, "TrainingStep", Step)
    return Step


def fit(**options: Any) -> made.Density:
    return made.fit(BITS, VALID, **OPTIONS | options)


def interrupted(steps: type[CountedStep], stop_in: int, checkpoint: Path) -> TrainingInterrupted:
    """Fit three networks, with Ctrl-C in that step of all; it must have ended the fit."""
    steps.stop_in = stop_in
    with pytest.raises(TrainingInterrupted) as caught:
        fit(networks=3, checkpoint=checkpoint)
    return caught.value


def test_the_members_of_all_networks_form_one_mixture() -> None:
    density = fit(networks=3)
    seeds = [record.options["seed"] for record in density.records]
    assert seeds[0] == 0
    assert len(set(seeds)) == 3
    alone = [fit(seed=seed) for seed in seeds]
    expected = np.logaddexp.reduce([one.log_prob(VALID) for one in alone], axis=0) - np.log(3)
    np.testing.assert_allclose(density.log_prob(VALID), expected, rtol=1e-12)
    assert density.n_members == 6
    for record, one in zip(density.records, alone, strict=True):
        assert record.validation_log_prob == pytest.approx(one.record.validation_log_prob)
        assert record.history[-1]["validation"] == one.record.history[-1]["validation"]
        assert record.validation_standard_error > 0
    assert density.combined.mixture_log_prob == pytest.approx(expected.mean())
    assert density.record.order_check is not None


def test_one_network_is_what_it_was() -> None:
    np.testing.assert_array_equal(fit(networks=1).log_prob(VALID), fit().log_prob(VALID))


@pytest.mark.parametrize("stop_in", [5, STEPS, STEPS + 1, STEPS + 10, 2 * STEPS + 3])
def test_a_run_goes_on_with_the_network_that_was_interrupted(
    stop_in: int, steps: type[CountedStep], tmp_path: Path
) -> None:
    place = tmp_path / "run"
    begun = -(-stop_in // STEPS)
    assert len(interrupted(steps, stop_in, place).density.records) == begun
    names = ["run", *(f"run.{number}" for number in range(2, begun + 1))]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    resumed = fit(networks=3, checkpoint=place, resume=True)
    assert steps.taken == 3 * STEPS  # No step was taken twice.
    assert list(tmp_path.iterdir()) == []
    np.testing.assert_array_equal(resumed.log_prob(VALID), fit(networks=3).log_prob(VALID))


def test_without_time_the_networks_that_were_begun_are_the_model(
    steps: type[CountedStep], tmp_path: Path
) -> None:
    place = tmp_path / "run"
    interrupted(steps, STEPS + 10, place)
    # The rule of short times would say one.
    density = fit(checkpoint=place, resume=True, max_time=0)
    assert [record.epochs for record in density.records] == [4, 2]
    assert steps.taken == STEPS + 10
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_of_another_network_is_refused(
    steps: type[CountedStep], tmp_path: Path
) -> None:
    place = tmp_path / "run"
    interrupted(steps, STEPS + 10, place)
    shutil.copy(place, tmp_path / "run.2")
    with pytest.raises(CheckpointError, match=r"run\.2 belongs to another run: seed was 0"):
        fit(networks=3, checkpoint=place, resume=True)


def test_a_network_that_diverges_leaves_those_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    train, diverging = networks._train, 2

    def diverge(splits: Any, recipe: Any, number: int, *more: Any, **named: Any) -> Any:
        if number == diverging:
            raise DivergedError("Training diverged in epoch 1.")
        return train(splits, recipe, number, *more, **named)

    monkeypatch.setattr(networks, "_train", diverge)
    with pytest.warns(MadeNotice, match=r"Network 3 is left out.*diverged in epoch 1"):
        density = fit(networks=4)
    np.testing.assert_array_equal(density.log_prob(VALID), fit(networks=2).log_prob(VALID))
    diverging = 0
    with pytest.raises(DivergedError):
        fit(networks=4)


def test_each_network_has_an_equal_share_of_the_time_that_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shares: list[float | None] = []

    class Timed(Budget):
        times = iter([0.0, 10.0, 95.0])

        def elapsed(self) -> float:
            return next(self.times)

    class Share(Budget):
        def __init__(self, max_seconds: float | None, max_epochs: int | None) -> None:
            shares.append(max_seconds)
            super().__init__(None, max_epochs)

    monkeypatch.setattr(networks, "Budget", Share)
    splits = RowSource(BITS, VALID).read()
    recipe = choose_recipe(
        resolve("default", {"networks": 3, "hidden": (4,)}), splits.schema, 60, seed=0
    )
    saving = networks.Saving(None, 30.0, resume=False)
    results = networks.train_networks(splits, recipe, Timed(90.0, 1), "cpu", saving)
    # The third finds no time.
    assert shares == [30.0, 40.0]
    assert len(results) == 2


def test_the_number_of_networks_goes_by_the_recipe_and_the_time() -> None:
    bits = RowSource(BITS, VALID).read().schema

    def number(n_rows: int, max_seconds: float | None = None, **options: Any) -> int:
        return choose_recipe(options, bits, n_rows, 0, max_seconds).n_networks

    assert [number(5_000), number(5_000, 239.0), number(5_000, 240.0)] == [1, 1, 4]
    assert number(4_999, 600.0) == 1
    assert number(5_000, 600.0, orderings="all") == number(60, 600.0, orderings="all") == 1
    assert number(11, 600.0) == 4
    assert number(5_000, 10.0, networks=2) == 2
    assert number(60, networks=7) == 7
    assert number(5_000, 600.0, **resolve("paper", {})) == 1


def test_images_have_a_network_for_every_ten_minutes() -> None:
    bits = np.random.default_rng(0).integers(0, 2, size=(40, 784))
    images = RowSource(bits).read().schema

    def number(max_seconds: float | None, **options: Any) -> int:
        return choose_recipe(options, images, 50_000, 0, max_seconds).n_networks

    assert [number(None), number(600.0), number(1199.0), number(3600.0)] == [1, 1, 1, 6]
    assert number(10 * 3600.0) == 24
    assert number(3600.0, networks=2) == 2


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "four"])
def test_bad_numbers_of_networks(value: Any) -> None:
    with pytest.raises(OptionError, match="networks must be a whole number of at least 1, got"):
        fit(networks=value)


def test_a_search_decides_how_many_networks_it_keeps() -> None:
    with pytest.raises(OptionError, match="leave --networks"):
        made.fit(BITS, VALID, networks=2, search=1)


def test_the_command_line_tells_of_all_networks(steps: type[CountedStep], tmp_path: Path) -> None:
    np.savez(tmp_path / "bits.npz", train=BITS, valid=VALID)
    model = tmp_path / "m.made"
    arguments = ["fit", str(tmp_path / "bits.npz"), "--out", str(model), "--hidden", "8",
                 "--orderings", "2", "--batch-size", "10", "--max-epochs", "4",
                 "--networks", "2", "--combine", "mixture"]  # fmt: skip
    steps.stop_in = STEPS + 13
    stopped = CliRunner().invoke(app, arguments)
    assert stopped.exit_code == 130
    assert "Stopped in epoch 2 of network 2. The best weights so far" in stopped.stderr
    resumed = CliRunner().invoke(app, [*arguments, "--resume"])
    assert resumed.exit_code == 0, resumed.output
    lines = dict(line.split("  ", 1) for line in resumed.stdout.splitlines())
    assert lines["members"].strip() == "4, mixture, of 2 networks"
    first, second = (text.strip() for text in lines["epochs"].split(";"))
    assert first.startswith("4, best ")
    assert second.startswith("4, best ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bits.npz", "m.made"]
    again = CliRunner().invoke(app, [*arguments, "--json"])
    assert json.loads(again.stdout)["n_networks"] == 2
    told = CliRunner().invoke(app, ["info", str(model)])
    assert "4, mixture, of 2 networks" in told.stdout
    # Of one kind, told once; how long each was trained, one by one.
    assert re.search(r"^network +\[8\] relu[^;]*$", told.stdout, re.MULTILINE)
    assert re.search(r"^epochs +4, best \d; 4, best \d$", told.stdout, re.MULTILINE)
    told = CliRunner().invoke(app, ["info", str(model), "--json", "--history"])
    content = json.loads(told.stdout)
    assert [one["epochs"] for one in content["networks"]] == [4, 4]
    assert content["seconds"] == sum(one["seconds"] for one in content["networks"])
    assert content["networks"][0]["training"]["seed"] != content["networks"][1]["training"]["seed"]
    told = CliRunner().invoke(app, ["info", str(model), "--history"])
    assert [line.split()[0] for line in told.stdout.splitlines()[1:]] == ["1"] * 4 + ["2"] * 4
