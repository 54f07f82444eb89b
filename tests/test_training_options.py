"""Options of the network and of training, durations, the budget: checked, each with a message."""

from __future__ import annotations

import json
import math
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from made.errors import OptionError
from made.network.config import NetworkConfig
from made.training import options as options_module
from made.training.options import Budget, TrainingOptions, check_count, parse_duration

BAD_TRAINING: list[tuple[str, Any, str]] = [
    ("optimizer", "sgd", "optimizer must be one of adamw, adadelta; got 'sgd'."),
    ("schedule", "cosine", "schedule must be one of decay, constant; got 'cosine'."),
    ("precision", "64", "precision must be one of 32-true, bf16-mixed; got '64'."),
    ("members", 0, "members must be a whole number of at least 1, got 0."),
    ("members", 2.0, "members must be a whole number of at least 1, got 2.0."),
    ("batch_size", -5, "batch_size must be a whole number of at least 1, got -5."),
    ("batch_size", True, "batch_size must be a whole number of at least 1, got True."),
    ("patience", 0, "patience must be a whole number of at least 1, got 0."),
    ("patience", None, "patience must be a whole number of at least 1, got None."),
    ("n_orderings", 0, "n_orderings must be a whole number of at least 1, got 0."),
    ("validation_members", 0, "validation_members must be a whole number of at least 1, got 0."),
    ("learning_rate", 0.0, "learning_rate must be a number from 1e-12 to 1000, got 0.0."),
    ("learning_rate", "fast", "learning_rate must be a number from 1e-12 to 1000, got 'fast'."),
    ("learning_rate", math.nan, "learning_rate must be a number from 1e-12 to 1000, got nan."),
    ("learning_rate", True, "learning_rate must be a number from 1e-12 to 1000, got True."),
    ("weight_decay", -0.1, "weight_decay must be a number from 0 to 1000, got -0.1."),
    ("clip_norm", -1, "clip_norm must be a number from 0 to inf, got -1."),
    ("average_decay", 1.0, "average_decay must be a number from 0 to 1, got 1.0."),
    ("warm_up", -1, "warm_up must be a whole number of at least 0, got -1."),
    ("warm_up", 2.5, "warm_up must be a whole number of at least 0, got 2.5."),
    ("warm_up", math.inf, "warm_up must be a whole number of at least 0, got inf."),
]

BAD_NETWORKS: list[tuple[dict[str, Any], str]] = [
    (
        {"activation": "relu6"},
        "activation must be one of relu, elu, gelu, tanh, softplus; got 'relu6'.",
    ),
    (
        {"normalization": "layer"},
        "normalization must be one of none, cumulative_rms; got 'layer'.",
    ),
    ({"hidden_degrees": "free"}, "hidden_degrees must be one of fixed, redrawn; got 'free'."),
    ({"spread": "odd"}, "spread must be one of random, even; got 'odd'."),
    (
        {"initialization": "zeros"},
        "initialization must be one of scaled, orthogonal; got 'zeros'.",
    ),
    ({"residual": 1}, "residual must be True or False, got 1."),
    ({"conditioning": "no"}, "conditioning must be True or False, got 'no'."),
    ({"dropout": 1.0}, "dropout must lie in [0, 1), got 1.0."),
    ({"dropout": -0.1}, "dropout must lie in [0, 1), got -0.1."),
    ({"dropout": math.nan}, "dropout must lie in [0, 1), got nan."),
    ({"hidden": (0,)}, "Every hidden layer needs between 1 and 1000000 units, got 0."),
    ({"hidden": (5, 2.5)}, "Every hidden layer needs between 1 and 1000000 units, got 2.5."),
    ({"hidden": (True,)}, "Every hidden layer needs between 1 and 1000000 units, got True."),
    ({"hidden": (10**9,)}, "Every hidden layer needs between 1 and 1000000 units, got 1000000000."),
    (
        {"hidden": (4, 5), "residual": True},
        "A residual network needs hidden layers of one width, got [4, 5].",
    ),
]


@pytest.mark.parametrize(("name", "value", "message"), BAD_TRAINING)
def test_bad_training_options(name: str, value: Any, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        TrainingOptions(**{name: value})
    assert str(caught.value) == message


@pytest.mark.parametrize(("options", "message"), BAD_NETWORKS)
def test_bad_network_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        NetworkConfig(**options)
    assert str(caught.value) == message


@pytest.mark.parametrize("hidden", ["500", None, 2.5, (1,) * 1001])
def test_what_is_no_list_of_widths(hidden: Any) -> None:
    with pytest.raises(OptionError, match="hidden must list the widths of the layers, like"):
        NetworkConfig(hidden=hidden)


def test_errors_of_options_are_value_errors() -> None:
    with pytest.raises(ValueError, match="members"):
        TrainingOptions(members=0)


@pytest.mark.parametrize(
    "options",
    [
        {"clip_norm": 0, "average_decay": 0, "warm_up": 0, "weight_decay": 0},
        {"clip_norm": math.inf, "average_decay": 0.9999},
        {"n_orderings": 1, "members": 1, "validation_members": 5, "batch_size": 1, "patience": 1},
        {"optimizer": "adadelta", "learning_rate": 1, "schedule": "constant"},
    ],
)
def test_training_options_survive_json(options: dict[str, Any]) -> None:
    chosen = TrainingOptions(**options)
    assert TrainingOptions.from_json(json.loads(json.dumps(chosen.to_json()))) == chosen


def test_a_network_survives_json() -> None:
    chosen = NetworkConfig(hidden=(3, 3), residual=True, dropout=0.5, spread="even")
    again = NetworkConfig.from_json(json.loads(json.dumps(chosen.to_json())))
    assert again == chosen
    assert again.hidden == (3, 3)


@pytest.mark.parametrize("kind", [TrainingOptions, NetworkConfig])
def test_json_with_other_options_is_refused(
    kind: type[TrainingOptions] | type[NetworkConfig],
) -> None:
    content = kind().to_json()
    assert set(content) == {option.name for option in fields(kind)}
    with pytest.raises(OptionError, match="momentum"):
        kind.from_json(content | {"momentum": 0.9})
    first = next(iter(content))
    with pytest.raises(OptionError, match=first):
        kind.from_json({name: value for name, value in content.items() if name != first})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90), ("10m", 600), ("1h30m", 5400), ("2d", 172800), ("1.5h", 5400), ("45", 45),
        (" 10 M ", 600), ("1h 30m", 5400), ("0", 0), ("0s", 0), (90, 90), (2.5, 2.5), (0, 0),
        (np.float64(3.0), 3.0),
    ],
)  # fmt: skip
def test_durations(text: Any, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", " ", "abc", "10x", "m", "-5", "-5m", "1e3", "1.5.2", "1 30", "10m5", "5 10m", "10 m s",
     "inf", "nan", "1,5m", True, None],
)  # fmt: skip
def test_bad_durations(text: Any) -> None:
    with pytest.raises(OptionError) as caught:
        parse_duration(text)
    assert str(caught.value) == (
        f"A time is a number of seconds or a text like 90s, 10m, 1h30m; got {text!r}."
    )


@pytest.mark.parametrize("number", [-1, -0.5, math.inf, math.nan])
def test_bad_durations_as_numbers(number: float) -> None:
    with pytest.raises(OptionError, match=f"A time must be at least 0 seconds, got {number!r}"):
        parse_duration(number)


@pytest.mark.parametrize("value", [-1, 1.5, "3", True])
def test_bad_max_epochs(value: Any) -> None:
    with pytest.raises(OptionError) as caught:
        Budget(None, value)
    assert str(caught.value) == (f"max_epochs must be a whole number of at least 0, got {value!r}.")


def test_counts() -> None:
    assert check_count("threads", 3) == 3
    with pytest.raises(OptionError, match="threads must be a whole number of at least 1, got 0"):
        check_count("threads", 0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Return a clock that stands still until ``clock.now`` is set."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(options_module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_a_budget_of_epochs(clock: SimpleNamespace) -> None:
    budget = Budget(None, 8)
    assert [budget.used(epoch) for epoch in (0, 2, 7.5, 8, 10)] == [0, 0.25, 0.9375, 1, 1.25]
    clock.now += 1e6
    assert budget.used(2) == 0.25
    assert Budget(None, 0).used(0) == 1


def test_a_budget_of_seconds(clock: SimpleNamespace) -> None:
    budget = Budget(100, None)
    assert budget.used(50) == 0
    clock.now += 49
    assert budget.elapsed() == 49
    # Two hundredths are kept for writing the model, and what the caller asks to keep.
    assert budget.used(50) == pytest.approx(0.5)
    assert budget.used(50, reserve_seconds=49) == pytest.approx(1)
    assert budget.used(50, reserve_seconds=1000) == 1


def test_whichever_ends_first(clock: SimpleNamespace) -> None:
    budget = Budget(100, 10)
    clock.now += 49
    assert budget.used(1) == pytest.approx(0.5)
    assert budget.used(9) == pytest.approx(0.9)


def test_time_used_before_counts(clock: SimpleNamespace) -> None:
    budget = Budget(100, None, used_seconds=40)
    clock.now += 9
    assert budget.elapsed() == 49
    assert budget.used(0) == pytest.approx(0.5)


def test_no_budget_and_no_time(clock: SimpleNamespace) -> None:
    clock.now += 1e9
    assert Budget(None, None).used(1e9) == 0
    assert Budget(0, None).used(0) == 1
