"""Fitted columns: scales, atoms, rare levels, codes, and the descriptions in model files."""

import itertools
import json
import math
import time
from typing import Any

import numpy as np
import pytest

from cases import COLUMNS, with_holes
from made.columns import (
    CategoricalColumn,
    ContinuousColumn,
    DatetimeColumn,
    IntegerColumn,
    NumericColumn,
    column_from_json,
)
from made.columns.fitting import fit_categorical, fit_numeric
from made.columns.numeric import FARTHEST_SCORE
from made.errors import DataError

NUMERIC = {name: column for name, column in COLUMNS.items() if isinstance(column, NumericColumn)}
LISTS = ("knots", "scores", "bins", "atoms")


@pytest.mark.parametrize("name", NUMERIC)
def test_scale_rises_and_inverts(name: str) -> None:
    column = NUMERIC[name]
    assert all(len(getattr(column, option)) >= 2 for option in ("knots", "scores", "bins"))
    for option in LISTS:
        listed = getattr(column, option)
        assert all(left < right for left, right in itertools.pairwise(listed)), option
    scores = np.linspace(-20, 20, 400)
    values = column.inverse(scores)
    assert (np.diff(values) > 0).all()
    # Of values that are large for their spread, float64 has few digits left.
    slack = np.exp(column.log_slope(values)) * np.abs(values) * 1e-15
    np.testing.assert_allclose(column.transform(values), scores, atol=1e-9 + float(slack.max()))
    slopes = np.exp(column.log_slope(values))
    assert (np.isfinite(slopes) & (slopes > 0)).all()


@pytest.mark.parametrize("name", [name for name, column in NUMERIC.items() if column.discrete])
def test_widths_of_whole_numbers_add_up(name: str) -> None:
    column = NUMERIC[name]
    middle = round(column.knots[len(column.knots) // 2])
    whole = np.arange(middle - 300.0, middle + 300.0)
    total = np.exp(column.log_width(whole)).sum()
    ends = column.transform([middle - 300.5, middle + 299.5])
    assert total == pytest.approx(ends[1] - ends[0], rel=1e-9, abs=1e-15)


def test_scores_are_about_normal_and_end_far_away() -> None:
    values = np.random.default_rng(1).lognormal(0, 2, 5000)
    column = fit_numeric(ContinuousColumn, "x", values)
    scores = column.transform(values)
    assert abs(scores.mean()) < 0.1
    assert 0.8 < scores.std() < 1.2
    ends = column.transform([-math.inf, -1e308, 1e308, math.inf])
    assert ends.tolist() == [-FARTHEST_SCORE, -FARTHEST_SCORE, FARTHEST_SCORE, FARTHEST_SCORE]


@pytest.mark.parametrize("factor", [1e-9, 0.37, 1e6])
def test_scale_follows_the_unit(factor: float) -> None:
    values = np.random.default_rng(2).normal(3, 2, 800)
    values[::7] = 4.0
    one = fit_numeric(ContinuousColumn, "x", with_holes(values))
    other = fit_numeric(ContinuousColumn, "x", with_holes(values) * factor)
    np.testing.assert_allclose(other.scores, one.scores, atol=1e-9)
    np.testing.assert_allclose(other.knots, np.array(one.knots) * factor)
    np.testing.assert_allclose(other.atoms, np.array(one.atoms) * factor)


def test_a_mirrored_column_has_a_mirrored_scale_by_ranks() -> None:
    values = np.random.default_rng(3).gamma(2.0, 1.0, 77)
    one = fit_numeric(ContinuousColumn, "x", values)
    other = fit_numeric(ContinuousColumn, "x", -values)
    np.testing.assert_allclose(other.transform(-values), -one.transform(values), atol=1e-9)


def test_the_scale_suits_the_column() -> None:
    random = np.random.default_rng(8)
    bell = fit_numeric(ContinuousColumn, "x", random.normal(5, 2, 3000))
    assert len(bell.knots) == 2, "a bell needs no bends"
    tail = fit_numeric(ContinuousColumn, "x", random.standard_cauchy(3000))
    assert len(tail.knots) > 8
    far = fit_numeric(ContinuousColumn, "x", np.append(random.normal(size=500), 1e15))
    assert np.ptp(far.transform([-1.0, 1.0])) > 0.5, "one far value must not squeeze the others"


def test_atoms_are_values_that_repeat() -> None:
    random = np.random.default_rng(4)
    values = np.concatenate([np.zeros(100), np.full(3, 5.0), np.full(2, 6.0), random.random(300)])
    assert fit_numeric(ContinuousColumn, "x", values).atoms == (0.0, 5.0)
    assert fit_numeric(ContinuousColumn, "x", values, atoms=False).atoms == ()
    many = fit_numeric(IntegerColumn, "x", np.repeat(np.arange(0, 50000.0, 100), 9))
    assert len(many.atoms) == 128


def test_a_smooth_column_has_no_atoms_and_few_values_are_all_atoms() -> None:
    ages = np.random.default_rng(0).normal(40, 10, 5000).round()
    assert fit_numeric(IntegerColumn, "age", ages).atoms == ()
    heaped = np.concatenate([ages, np.full(2000, 40.0)])
    assert fit_numeric(IntegerColumn, "age", heaped).atoms == (40.0,)
    stars = np.repeat([1.0, 2.0, 3.0, 4.0, 5.0], [10, 20, 40, 20, 2])
    assert fit_numeric(IntegerColumn, "stars", stars).atoms == (1.0, 2.0, 3.0, 4.0)


@pytest.mark.parametrize(
    "values",
    [
        [0.0, 5e-324, 1e-323, 1.0],
        [1.0, 1.0 + 2**-52, 1.0 + 2**-51],
        [1e300, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0],
        [1.7e308, -1.7e308],
        [1.7e308] * 9,
        [5e-324] * 9,
        [0.1 + 0.2, 0.3, 0.3, 0.7],
        [np.inf, 1.0, 2.0, -np.inf],
        [],
    ],
)
@pytest.mark.parametrize("kind", [ContinuousColumn, IntegerColumn])
def test_hard_values_leave_finite_slopes(kind: type[NumericColumn], values: list[float]) -> None:
    cells = np.array(values * 3)
    column = fit_numeric(kind, "x", np.round(cells) if kind.discrete else cells)
    at = np.array([0.0, 1.0, *values, *column.knots])
    assert np.isfinite(column.log_slope(at)).all()
    assert not np.isnan(column.codes(at)).any()
    assert column_from_json(column.to_json()) == column


def test_near_rounding_noise_is_no_piece_of_its_own() -> None:
    values = np.random.default_rng(5).normal(0, 1, 300)
    noisy = np.concatenate([values, np.full(60, 0.3), np.full(60, 0.1 + 0.2)])
    column = fit_numeric(ContinuousColumn, "x", noisy, atoms=False)
    assert column.log_slope(column.knots).max() < 15


def test_a_million_rows_take_a_moment() -> None:
    values = np.random.default_rng(6).normal(size=10**6).round(3)
    start = time.process_time()
    fit_numeric(ContinuousColumn, "x", values)
    fit_numeric(IntegerColumn, "x", (values * 1000).round())
    assert time.process_time() - start < 4


def test_limits_that_leave_nothing_are_refused() -> None:
    values = np.array([1.0, 2.0])
    for low, high in ((3.0, 2.0), (2.0, 2.0)):
        with pytest.raises(DataError, match=r"'x' has the limits low=.*Expected a low below high"):
            fit_numeric(ContinuousColumn, "x", values, low=low, high=high)
    assert fit_numeric(IntegerColumn, "x", values, low=2.0, high=2.0).score_limits[0] < 0


def test_cells_that_are_missing_can_be_missing() -> None:
    assert fit_numeric(ContinuousColumn, "x", np.array([1.0, np.nan])).missing
    assert fit_categorical("x", np.array([0.0, np.nan]), ["a"]).missing
    with pytest.raises(DataError, match="'x' has no level"):
        fit_categorical("x", np.array([]), [])


def test_rare_levels_share_a_class_by_counts() -> None:
    column = CategoricalColumn("c", "", True, tuple("abcd"), (50, 1, 3, 40), 100)
    assert column.n_classes == 4
    assert column.class_of.tolist() == [0, 2, 2, 1]
    assert column.unseen_mass == pytest.approx(2 / 102)
    known = 1 - 2 / 102
    np.testing.assert_allclose(
        np.exp(column.log_shares), [known, known * 1.5 / 5, known * 3.5 / 5, known]
    )
    codes = column.codes(np.array([0, 1, 2, 3, 4, np.nan]))
    assert codes[:, 0].tolist() == [0, 2, 2, 1, -1, 3]
    assert codes[4, 1] == pytest.approx(math.log(2 / 102))


def test_levels_come_out_as_plain_values() -> None:
    levels: list[Any] = [np.int64(3), np.int64(4)]
    column = fit_categorical("c", np.array([0.0, 1.0]), levels)
    assert [type(level) for level in column.levels] == [int, int]
    json.dumps(column.to_json())


@pytest.mark.parametrize("name", COLUMNS)
def test_codes_never_hold_nan(name: str) -> None:
    column = COLUMNS[name]
    cells = column.outcomes
    if cells is None:
        cells = np.array([0.0, 1.0, -5.5, 1e18, np.inf, -np.inf, np.nan])
    codes = column.codes(cells)
    assert codes.shape == (len(cells), column.n_codes)
    assert not np.isnan(codes[~np.isnan(cells) | column.missing]).any()


def test_limits_and_whole_numbers_are_respected() -> None:
    column = fit_numeric(IntegerColumn, "x", np.arange(20.0), low=0.0, high=30.0)
    codes = column.codes(np.array([-1.0, 0.0, 2.5, 30.0, 31.0, np.inf, np.nan]))
    assert np.isneginf(codes[:, 2]).tolist() == [True, False, True, False, True, True, True]


def damaged(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Return descriptions with each field wrong in turn, in every way that it can be."""
    wrong: dict[str, list[Any]] = {
        "name": [3, None, "\ud800"],
        "kind": ["unknown", None, [], {}, 1],
        "dtype": [1, None, "\udfff"],
        "missing": [1, "yes", None],
        "levels": ["ab", None, [["a"]], [math.nan, 1], [math.inf, 1], ["a", 1], ["a", "a"],
                   [True, 1], ["\ud800", "a"], [10**400, 1]],
        "counts": [None, [1], [-1] * 3, [True] * 3, [1.0] * 3, [10**400] * 3, [2**62] * 3],
        "n_rows": [-1, True, 1.5, None, 10**400, 0],
        "rare_below": [-1, False, 2.5, 10**400],
        "low": [True, "0", math.nan, math.inf, 10**400, [], 1e9],
        "high": [False, "1", math.nan, -math.inf, {}, -1e9],
        "unit": ["year", 3, None, [], ["s"]],
        "format": [None, 3, "\ud800"],
    }  # fmt: skip
    for option in LISTS:
        wrong[option] = [
            None, "12", [0.0, True], [0, math.nan], [math.inf, 1], [1, 0], [0, 0], ["0", "1"],
            [0, 10**400], [[0], [1]], list(range(5000)),
        ]  # fmt: skip
    wrong["knots"] += [[], [1.0], [0.0, 5e-324], [-1.7e308, 1.7e308]]
    wrong["scores"] += [[], [1.0], [-1e300, 1e300]]
    cases = [content | {field: value} for field in content for value in wrong[field]]
    cases += [{key: value for key, value in content.items() if key != field} for field in content]
    return [*cases, content | {"more": 1}]


@pytest.mark.parametrize("name", COLUMNS)
def test_descriptions_come_back_from_json(name: str) -> None:
    column = COLUMNS[name]
    assert column_from_json(json.loads(json.dumps(column.to_json()))) == column


@pytest.mark.parametrize("name", ["binary", "rare levels", "stars", "days", "price"])
def test_damaged_descriptions_are_refused(name: str) -> None:
    content = COLUMNS[name].to_json()
    for case in damaged(content):
        if case == content:
            continue
        with pytest.raises(DataError) as error:
            column_from_json(case)
        assert len(str(error.value)) < 500, case


@pytest.mark.parametrize("content", [None, 3, [], "binary", {}, {"kind": {}}, {"kind": "binary"}])
def test_what_is_no_description_is_refused(content: object) -> None:
    with pytest.raises(DataError):
        column_from_json(content)


def test_descriptions_that_contradict_themselves_are_refused() -> None:
    stars = COLUMNS["stars"].to_json()
    with pytest.raises(DataError, match="must be whole numbers"):
        column_from_json(stars | {"atoms": [1.5]})
    with pytest.raises(DataError, match="lie outside"):
        column_from_json(stars | {"atoms": [9.0]})
    with pytest.raises(DataError, match="Nothing lies between"):
        column_from_json(COLUMNS["price"].to_json() | {"low": 1e50, "high": 1e51})
    with pytest.raises(DataError, match="no level, and its cells are not missing"):
        column_from_json(COLUMNS["no level"].to_json() | {"missing": False})


def test_measures_tell_densities_apart() -> None:
    real = ContinuousColumn("x", atoms=(0.0,))
    assert real.measure != ContinuousColumn("x").measure
    assert DatetimeColumn("x", unit="s").measure != DatetimeColumn("x", unit="ms").measure
    whole = IntegerColumn("x", atoms=(0.0,))
    assert whole.measure == IntegerColumn("x").measure
