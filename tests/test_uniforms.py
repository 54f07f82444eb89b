"""Random numbers are functions of what they are for, and of nothing else."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from made import uniforms as streams
from made.errors import OptionError
from made.philox import fill_rows
from made.uniforms import (
    CELLS,
    HIDDEN_DEGREES,
    MEMBER_CHOICE,
    MEMBERS,
    ORDERINGS,
    check_seed,
    derived_seed,
    generator,
    uniforms,
)

LARGEST = 2**63 - 1


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, LARGEST),
    n_columns=st.integers(1, 11),
    borders=st.lists(st.integers(0, 40), min_size=1, max_size=6),
)
def test_rows_do_not_depend_on_the_chunk_they_come_in(
    seed: int, n_columns: int, borders: list[int]
) -> None:
    whole = uniforms(seed, 0, 40, n_columns)
    cuts = sorted({0, 40, *borders})
    chunks = [uniforms(seed, a, b - a, n_columns) for a, b in itertools.pairwise(cuts)]
    assert np.array_equal(np.concatenate(chunks), whole)


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, LARGEST),
    first_row=st.integers(0, 10**15),
    n_rows=st.integers(0, 5),
    n_columns=st.integers(1, 13),
)
def test_compiled_uniforms_are_those_of_numpy(
    seed: int, first_row: int, n_rows: int, n_columns: int
) -> None:
    compiled = np.full((n_rows, n_columns), np.nan)
    fill_rows((np.uint64(seed), np.uint64(CELLS)), np.uint64(first_row), compiled)
    assert np.array_equal(compiled, uniforms(seed, first_row, n_rows, n_columns))


@pytest.mark.parametrize("n_columns", [1, 6, 2**18 + 3])
def test_many_rows_are_those_of_small_chunks(n_columns: int) -> None:
    n_rows = -(-(2**18) // n_columns) + 1
    drawn = uniforms(3, 5, n_rows, n_columns, MEMBER_CHOICE)
    assert drawn.size >= 2**18
    for place in (0, n_rows // 2, n_rows - 1):
        bits = np.random.Philox(key=np.array([3, MEMBER_CHOICE], dtype=np.uint64))
        bits.advance((5 + place) * -(-n_columns // 4))
        assert np.array_equal(drawn[place], np.random.Generator(bits).random(n_columns))


def test_rows_far_away_need_no_rows_before_them() -> None:
    far = 10**15
    assert np.array_equal(uniforms(1, far, 6, 5)[4:], uniforms(1, far + 4, 2, 5))
    assert not np.array_equal(uniforms(1, far, 1, 5), uniforms(1, 0, 1, 5))


@pytest.mark.parametrize("n_columns", [0, 1, 4, 5])
@pytest.mark.parametrize("n_rows", [0, 1, 7])
def test_shape_and_type(n_rows: int, n_columns: int) -> None:
    drawn = uniforms(0, 3, n_rows, n_columns)
    assert drawn.shape == (n_rows, n_columns)
    assert drawn.dtype == np.float64


@pytest.mark.parametrize("purpose", [CELLS, MEMBER_CHOICE])
@pytest.mark.parametrize("seed", [0, 1, LARGEST])
def test_they_are_uniform_and_uncorrelated(seed: int, purpose: int) -> None:
    drawn = uniforms(seed, 0, 20_000, 5, purpose)
    assert drawn.min() >= 0
    assert drawn.max() < 1
    # Every column: 20 bins of 1000 expected draws; five standard deviations are 154.
    for column in drawn.T:
        counts, _ = np.histogram(column, bins=20, range=(0, 1))
        assert abs(counts - 1000).max() < 160
    # Columns with each other, and rows with the next; one standard deviation is 0.007.
    between = np.corrcoef(drawn.T) - np.eye(5)
    assert abs(between).max() < 0.035
    shifted = np.corrcoef(drawn[:-1].ravel(), drawn[1:].ravel())[0, 1]
    assert abs(shifted) < 0.02


def test_no_two_cells_share_a_number() -> None:
    drawn = [
        uniforms(seed, 0, 50, 6, purpose) for seed in (0, 1) for purpose in (CELLS, MEMBER_CHOICE)
    ]
    assert len(np.unique(drawn)) == 4 * 50 * 6


def test_every_purpose_has_a_number_of_its_own() -> None:
    purposes = {
        name: value
        for name, value in vars(streams).items()
        if name.isupper() and not name.startswith("_")
    }
    assert len(purposes) >= 10
    assert len(set(purposes.values())) == len(purposes)


# Keys that are easily taken for each other: a long seed and a purpose, an index of 0 and none.
KEYS = [
    (5, ORDERINGS),
    (5, ORDERINGS, 0),
    (5, ORDERINGS, 0, 0),
    (5, ORDERINGS, 1),
    (5, HIDDEN_DEGREES),
    (5, HIDDEN_DEGREES, 0),
    (5, MEMBERS, 1),
    (5, ORDERINGS, MEMBERS),
    (5 + (ORDERINGS << 32), MEMBERS),
    (5 + (MEMBERS << 32), ORDERINGS),
    (6, ORDERINGS),
    (LARGEST, ORDERINGS),
    (0, ORDERINGS, 5),
    (0, 0, ORDERINGS, 5),
]


def test_generators_of_different_keys_differ() -> None:
    first_draws = {generator(*key).integers(LARGEST) for key in KEYS}
    assert len(first_draws) == len(KEYS)
    assert len({derived_seed(*key) for key in KEYS}) == len(KEYS)


@pytest.mark.parametrize("key", KEYS)
def test_generators_of_one_key_are_the_same(key: tuple[int, ...]) -> None:
    seed, purpose, *indices = key
    first, again = (generator(seed, purpose, *indices).random(5) for _ in range(2))
    assert np.array_equal(first, again)
    drawn = derived_seed(seed, purpose, *indices)
    assert drawn == derived_seed(seed, purpose, *indices)
    torch.Generator().manual_seed(drawn)


@pytest.mark.parametrize("seed", [0, 7, LARGEST, np.int64(3), np.uint8(3)])
def test_good_seeds(seed: Any) -> None:
    checked = check_seed(seed)
    assert checked == seed
    assert type(checked) is int


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        (-1, "seed must lie between 0 and 2**63 - 1, got -1."),
        (2**63, f"seed must lie between 0 and 2**63 - 1, got {2**63}."),
        (1.0, "seed must be a whole number, got 1.0."),
        ("1", "seed must be a whole number, got '1'."),
        (True, "seed must be a whole number, got True."),
        (None, "seed must be a whole number, got None."),
    ],
)
def test_bad_seeds(seed: Any, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        check_seed(seed)
    assert str(caught.value) == message


def test_no_global_generator_is_used() -> None:
    before = np.random.get_state(legacy=True), torch.get_rng_state()  # noqa: NPY002
    uniforms(0, 0, 10, 10)
    generator(0, ORDERINGS, 1).random(10)
    derived_seed(0, ORDERINGS)
    after = np.random.get_state(legacy=True), torch.get_rng_state()  # noqa: NPY002
    assert str(before[0]) == str(after[0])
    assert torch.equal(before[1], after[1])
