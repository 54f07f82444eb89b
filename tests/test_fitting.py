"""The recipe: seeds, held-out rows, presets, the record; nothing global is touched."""

from __future__ import annotations

import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import made
from made.combining import standard_error
from made.errors import DataError, DivergedError, MadeNotice, OptionError
from made.fitting import PRESETS, Fit, Regime, RowSource, find_regime, fit_table
from made.training.state import Epoch

BITS = np.random.default_rng(0).integers(0, 2, size=(60, 6))
QUICK: dict[str, Any] = {
    "hidden": (8,), "members": 2, "batch_size": 10, "max_epochs": 3, "threads": 1, "device": "cpu",
    "combine": "mixture",
}  # fmt: skip


def fit(train: Any = BITS, valid: Any = None, **options: Any) -> made.Density:
    return made.fit(train, valid, **(QUICK | options))


def outcome(density: made.Density) -> tuple[dict[str, bytes], list[Any]]:
    """Return the bits of all weights, and the nats of every epoch."""
    weights = density._fitted.ensemble.members.models[0].state_dict()
    bits = {name: value.numpy().tobytes() for name, value in weights.items()}
    return bits, [(line["train"], line["validation"]) for line in density.record.history]


SEEDED: list[dict[str, Any]] = [
    {},
    {"orderings": 2},
    {"dropout": 0.4, "hidden_degrees": "redrawn"},
    {"preset": "paper", "members": 2, "validation_members": 2},
]


@pytest.mark.parametrize("options", SEEDED)
def test_a_seed_gives_the_same_run_bit_for_bit(options: dict[str, Any]) -> None:
    first, again = fit(seed=3, **options), fit(seed=3, **options)
    assert outcome(first) == outcome(again)
    assert np.array_equal(first.sample(20, seed=1), again.sample(20, seed=1))
    members = [
        [m.order.tolist() for m in d._fitted.ensemble.members.networks[0][1]]
        for d in (first, again)
    ]
    assert members[0] == members[1]


@pytest.mark.parametrize("options", SEEDED)
def test_other_seeds_give_other_runs(options: dict[str, Any]) -> None:
    # The validation rows are given, so that they are not what differs.
    runs = [outcome(fit(valid=BITS[:20], seed=seed, **options)) for seed in (0, 1, 2**32)]
    for name in runs[0][0]:
        assert len({bits[name] for bits, _ in runs}) == 3
    assert len({str(history) for _, history in runs}) == 3


@pytest.mark.parametrize("options", SEEDED)
def test_global_generators_are_neither_read_nor_changed(options: dict[str, Any]) -> None:
    def states() -> tuple[bytes, str]:
        return torch.get_rng_state().numpy().tobytes(), str(np.random.get_state())  # noqa: NPY002

    torch.manual_seed(1)
    before = states()
    density = fit(**options)
    drawn = density.sample(7, seed=1)
    assert states() == before
    torch.manual_seed(2)
    again = fit(**options)
    assert outcome(again) == outcome(density)
    assert np.array_equal(again.sample(7, seed=1), drawn)


def test_the_number_of_threads_is_put_back() -> None:
    before = torch.get_num_threads()
    fit(threads=2, max_epochs=1)
    assert torch.get_num_threads() == before
    with pytest.raises(OptionError, match="threads must be a whole number of at least 1, got 0"):
        fit(threads=0)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(("n_rows", "n_held"), [(2, 1), (5, 1), (60, 6), (100, 10), (255, 26)])
def test_a_tenth_is_held_out_by_the_seed(n_rows: int, n_held: int) -> None:
    # Every row is the number of itself, in bits.
    data = (np.arange(n_rows)[:, None] >> np.arange(8)) & 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MadeNotice)  # Columns of a few rows may be constant.
        splits, again, other = (RowSource(data).read(seed) for seed in (0, 0, 1))
    held, left = (values @ (1 << np.arange(8)) for values in (splits.valid, splits.train))
    assert len(held) == n_held
    assert sorted([*held, *left]) == list(range(n_rows))
    assert np.array_equal(splits.valid, again.valid)
    if n_rows > 5:
        assert not np.array_equal(splits.valid, other.valid)
    # Rows keep their order; which are held out is no matter of place.
    assert (np.diff(held.astype(int)) > 0).all()
    assert (np.diff(left.astype(int)) > 0).all()


def test_one_row_cannot_be_split() -> None:
    with pytest.raises(DataError) as caught:
        fit(BITS[:1])
    assert str(caught.value) == (
        "The data has one row: there is none to validate on. Pass more rows, or valid=..."
    )


def test_one_row_with_validation_rows_is_accepted() -> None:
    density = fit(BITS[:1], BITS[1:3])
    assert (density.record.n_train_rows, density.record.n_validation_rows) == (1, 2)
    assert density.record.validation_standard_error > 0
    one_each = fit(BITS[:1], BITS[1:2])
    assert one_each.record.validation_standard_error == 0
    assert np.isfinite(one_each.log_prob(BITS)).all()


def test_no_validation_rows_are_an_error() -> None:
    with pytest.raises(DataError, match=r"validation data.* has no rows"):
        fit(BITS, BITS[:0])


def test_validation_rows_that_are_given_are_used() -> None:
    density = fit(BITS[:40], BITS[40:])
    record = density.record
    assert (record.n_train_rows, record.n_validation_rows) == (40, 20)
    scores = density.log_prob(BITS[40:])
    assert record.validation_log_prob == pytest.approx(scores.mean(), abs=1e-9)
    assert record.validation_standard_error == pytest.approx(scores.std(ddof=1) / 20**0.5)
    assert record.validation_standard_error == standard_error(scores)


@pytest.mark.parametrize(
    ("n_rows", "n_columns", "regime", "of_other_columns"),
    [
        (40_000, 500, Regime.IMAGES, Regime.MANY_ROWS),
        (39_999, 500, Regime.MANY_ROWS, Regime.MANY_ROWS),
        (41_000, 499, Regime.MANY_ROWS, Regime.MANY_ROWS),
        (5_000, 100, Regime.MANY_ROWS, Regime.MANY_ROWS),
        (4_999, 100, Regime.ROWS_ENOUGH, Regime.ROWS_ENOUGH),
        (2_000, 134, Regime.MANY_ROWS, Regime.MANY_ROWS),
        (1_999, 134, Regime.FEW_ROWS, Regime.FEW_ROWS),
        (1_500, 100, Regime.ROWS_ENOUGH, Regime.ROWS_ENOUGH),
        (1_499, 100, Regime.FEW_ROWS, Regime.FEW_ROWS),
        (200, 100, Regime.FEW_ROWS, Regime.FEW_ROWS),
        (199, 100, Regime.SCARCE_ROWS, Regime.FEW_ROWS),
    ],
)
def test_regimes(n_rows: int, n_columns: int, regime: Regime, of_other_columns: Regime) -> None:
    assert find_regime(n_rows, n_columns, are_bits=True) is regime
    assert find_regime(n_rows, n_columns, are_bits=False) is of_other_columns


def test_orderings_by_regime_and_by_hand() -> None:
    counts = [1, 2, 16, None, 16]
    assert [regime.n_orderings for regime in Regime] == counts
    options = [fit(orderings=chosen).record.options["n_orderings"] for chosen in ("all", "3", 3)]
    assert options == [None, 3, 3]


@pytest.mark.parametrize(
    ("orderings", "message"),
    [
        ("some", 'orderings must be "auto", "all" or a number, got \'some\'.'),
        ("", 'orderings must be "auto", "all" or a number, got \'\'.'),
        ("-3", 'orderings must be "auto", "all" or a number, got \'-3\'.'),
        (0, "orderings must be a whole number of at least 1, got 0."),
        ("0", "orderings must be a whole number of at least 1, got 0."),
        (2.5, "orderings must be a whole number of at least 1, got 2.5."),
    ],
)
def test_bad_orderings(orderings: Any, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        fit(orderings=orderings)
    assert str(caught.value) == message


def test_a_short_list_of_orderings_is_the_ensemble() -> None:
    assert fit(orderings=2, members=5).n_members == 2
    assert fit(orderings="all", members=5).n_members == 5


BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"preset": "best"}, OptionError, "preset must be one of default, paper; got 'best'"),
    ({"max_time": "soon"}, OptionError, "A time is a number of seconds or a text like"),
    ({"checkpoint_every": "often"}, OptionError, "A time is a number of seconds or a text like"),
    ({"max_epochs": -1}, OptionError, "max_epochs must be a whole number of at least 0, got -1"),
    ({"seed": -1}, OptionError, "seed must lie between 0 and"),
    ({"device": "abacus"}, OptionError, "The device 'abacus' cannot be used"),
    ({"hidden": (0,)}, OptionError, "Every hidden layer needs between 1 and"),
    ({"learning_rate": -1.0}, OptionError, "learning_rate must be a number from"),
]


@pytest.mark.parametrize(("options", "error", "message"), BAD)
def test_bad_options(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        fit(**options)


def test_unknown_options_are_named() -> None:
    with pytest.raises(OptionError, match=r"Unknown option\(s\): momentum, n_layers\."):
        fit_table(RowSource(BITS), momentum=1, n_layers=2)


# Germain et al. 2015: section 6, supplement, published code.
PUBLISHED: dict[str, Any] = {
    "n_orderings": None, "members": 1000, "validation_members": 300, "batch_size": 100,
    "optimizer": "adadelta", "learning_rate": 1.0, "weight_decay": 0.0, "warm_up": 0,
    "schedule": "constant", "clip_norm": 0.0, "average_decay": 0.0, "patience": 30,
}  # fmt: skip


def test_the_paper_preset_is_the_published_recipe() -> None:
    density = made.fit(BITS, preset="paper", hidden=(8,), max_epochs=1, threads=1)
    assert PUBLISHED.items() <= density.record.options.items()
    assert density.record.options["preset"] == "paper"
    assert density.n_members == 1000
    config = density._fitted.ensemble.members.models[0].config
    assert config.hidden == (8,)
    assert (config.hidden_degrees, config.initialization) == ("redrawn", "orthogonal")
    assert (config.direct_input, config.conditioning, config.activation) == (True, False, "relu")


def test_options_that_are_given_override_a_preset() -> None:
    given: dict[str, Any] = {"members": 3, "validation_members": 2, "patience": 7, "clip_norm": 1.0}
    density = fit(preset="paper", orderings=5, conditioning=True, optimizer="adamw", **given)
    expected = {**PUBLISHED, **given, "n_orderings": 5, "optimizer": "adamw", "batch_size": 10}
    assert expected.items() <= density.record.options.items()
    assert density._fitted.ensemble.members.models[0].config.conditioning
    assert density._fitted.ensemble.members.models[0].config.hidden_degrees == "redrawn"
    # An option that is turned off is given too, and not left to the preset.
    assert not fit(preset="paper", direct_input=False, **given).record.options["warm_up"]
    assert PRESETS["paper"]["members"] == 1000


def test_the_default_preset_trains_on_fresh_orderings_of_few_rows() -> None:
    assert fit().record.options["n_orderings"] is None
    assert fit(np.tile(BITS, (2, 1))).record.options["n_orderings"] == 16


def test_the_history_is_seen_recorded_and_kept_in_the_file(tmp_path: Path) -> None:
    seen: list[Epoch] = []
    density = fit(max_epochs=4, on_epoch=seen.append)
    record = density.record
    assert [line.epoch for line in seen] == [1, 2, 3, 4]
    assert record.history == [vars(line) for line in seen]
    assert record.epochs == 4
    assert record.validation_log_prob == max(line.validation or -9 for line in seen)
    seconds = [line.seconds for line in seen]
    assert 0 < seconds[0] <= seconds[-1] <= record.seconds
    density.save(tmp_path / "m.made")
    loaded = made.load(tmp_path / "m.made")
    assert loaded.record == record
    assert outcome(loaded) == outcome(density)


def test_a_run_that_diverged_and_fell_back_can_be_saved(tmp_path: Path) -> None:
    deep: dict[str, Any] = {
        "hidden": (8,) * 20,
        "activation": "softplus",
        "clip_norm": 0.0,
        "dropout": 0.0,
        "orderings_per_step": 1,
    }
    # The rate grows until the weights overflow: some epochs are good, the last are not.
    slow = fit(learning_rate=1000.0, warm_up=100, max_epochs=40, average_decay=0.0, **deep)
    assert np.isfinite(slow.log_prob(BITS)).all()
    assert slow.record.history[-1]["train"] is slow.record.history[-1]["validation"] is None
    slow.save(tmp_path / "m.made")
    assert made.load(tmp_path / "m.made").record == slow.record
    assert json.loads(json.dumps(slow.record.history, allow_nan=False)) == slow.record.history
    with pytest.raises(DivergedError, match="Use a smaller learning_rate than 1000"):
        fit(learning_rate=1000.0, warm_up=0, average_decay=0.0, **deep)


@pytest.mark.parametrize(
    ("max_time", "combining"), [("100s", 15), ("10m", 60), ("1h", 360), ("5h", 600)]
)
def test_training_leaves_time_to_combine(max_time: str, combining: float) -> None:
    def training_seconds(combine: str) -> float:
        return Fit(max_time=max_time, combine=combine).budget.max_seconds or 0.0

    assert training_seconds("mixture") - training_seconds("auto") == pytest.approx(combining)


@pytest.mark.parametrize("max_time", [0, "0.3s", 1.0])
def test_the_time_is_kept(max_time: str | float) -> None:
    fit(max_epochs=1)  # What is imported late is imported now.
    started = time.monotonic()
    density = fit(max_epochs=None, max_time=max_time, patience=10**6)
    taken = time.monotonic() - started
    limit = float(str(max_time).rstrip("s"))
    assert 0.5 * limit <= taken <= limit + 2
    assert density.record.seconds == pytest.approx(taken, abs=0.5)
    assert density.record.epochs >= 1


def test_no_epochs_give_the_marginals() -> None:
    density = fit(max_epochs=0, direct_input=False)
    assert density.record.epochs == 0
    assert [line["train"] for line in density.record.history] == [None]
    assert density.log_prob(BITS[:5]).shape == (5,)


def test_constant_columns_give_one_notice() -> None:
    data = np.concatenate([BITS, np.ones((60, 1), dtype=int)], axis=1)
    with pytest.warns(MadeNotice) as notices:
        density = fit(data)
    assert [str(notice.message) for notice in notices] == [
        "1 column(s) never change in the training rows: 'x6'. They are kept; another value will be "
        "very unlikely."
    ]
    assert np.isfinite(density.log_prob(1 - data)).all()
