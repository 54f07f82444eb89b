import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from made.errors import OptionError
from made.orderings import (
    Connectivity,
    ConnectivitySource,
    check_ordering,
    draw_hidden_degrees,
    with_first,
)


def source(**options: object) -> ConnectivitySource:
    chosen = {"n_columns": 12, "widths": (20, 30), "seed": 5} | options
    return ConnectivitySource(**chosen)  # type: ignore[arg-type]


def same(a: Connectivity, b: Connectivity) -> bool:
    return np.array_equal(a.order, b.order) and all(
        np.array_equal(x, y) for x, y in zip(a.hidden_degrees, b.hidden_degrees, strict=True)
    )


def test_rank_inverts_the_order() -> None:
    connectivity = source().training(3)
    assert connectivity.rank[connectivity.order].tolist() == list(range(12))
    assert connectivity.column_degrees[connectivity.order].tolist() == list(range(1, 13))


@pytest.mark.parametrize("hidden_degrees", ["fixed", "redrawn"])
def test_every_connectivity_can_be_replayed(hidden_degrees: str) -> None:
    first, again = (source(hidden_degrees=hidden_degrees) for _ in range(2))
    assert same(first.training(41), again.training(41))
    assert same(first.members(3)[2], again.members(3)[2])
    assert not same(first.training(41), first.training(42))
    assert not same(first.training(41), source(hidden_degrees=hidden_degrees, seed=6).training(41))


def test_a_fixed_list_is_cycled_through_and_is_the_ensemble() -> None:
    cycled = source(n_orderings=4)
    assert same(cycled.training(1), cycled.training(5))
    assert [same(member, cycled.training(k)) for k, member in enumerate(cycled.members(16))] == [
        True
    ] * 4
    assert len(cycled.members(2)) == 2


def test_members_of_fresh_orderings_are_not_the_training_ones() -> None:
    fresh = source()
    assert len(fresh.members(16)) == 16
    assert not same(fresh.members(1)[0], fresh.training(0))


def test_fixed_degrees_stay_for_life_and_are_sorted() -> None:
    fixed = source()
    assert fixed.training(0).hidden_degrees is fixed.training(9).hidden_degrees
    assert all((np.diff(degrees) >= 0).all() for degrees in fixed.training(0).hidden_degrees)


def test_redrawn_degrees_change_with_the_ordering() -> None:
    redrawn = source(hidden_degrees="redrawn")
    first, second = redrawn.training(0).hidden_degrees, redrawn.training(1).hidden_degrees
    assert not np.array_equal(first[0], second[0])


@given(
    n_columns=st.integers(1, 30),
    widths=st.lists(st.integers(1, 40), max_size=4),
    lowest=st.integers(0, 40),
    spread=st.sampled_from(["random", "even"]),
    seed=st.integers(0, 99),
)
def test_degrees_stay_in_range_and_later_layers_start_at_the_smallest_before(
    n_columns: int, widths: list[int], lowest: int, spread: str, seed: int
) -> None:
    random = np.random.default_rng(seed)
    layers = draw_hidden_degrees(random, n_columns, widths, lowest=lowest, spread=spread)  # type: ignore[arg-type]
    highest = max(n_columns - 1, 1)
    low = min(max(lowest, 1), highest)
    for layer, width in zip(layers, widths, strict=True):
        assert len(layer) == width
        assert low <= layer.min() <= layer.max() <= highest
        low = int(layer.min())


def test_even_degrees_occur_equally_often() -> None:
    (degrees,) = draw_hidden_degrees(np.random.default_rng(0), 11, [50], spread="even")
    assert np.bincount(degrees)[1:].tolist() == [5] * 10


def test_shared_degrees_are_those_of_the_first_layer() -> None:
    layers = draw_hidden_degrees(np.random.default_rng(0), 11, [50, 50], shared=True)
    assert layers[0] is layers[1]


def test_columns_come_first_tier_by_tier_in_the_order_that_they_had() -> None:
    before = source().training(3)
    after = with_first(before, [3, 8], [1], [])
    assert sorted(after.order[:2].tolist()) == [3, 8]
    assert after.order[2] == 1
    rest = [column for column in before.order.tolist() if column not in (1, 3, 8)]
    assert after.order[3:].tolist() == rest
    first = [column for column in before.order.tolist() if column in (3, 8)]
    assert after.order[:2].tolist() == first
    assert after.hidden_degrees is before.hidden_degrees
    assert same(with_first(before), before)


@pytest.mark.parametrize("ordering", [[0, 0, 1], [1, 2, 3], [0.5, 1], [], [[0, 1]], "ab"])
def test_what_is_no_permutation_is_refused(ordering: object) -> None:
    with pytest.raises(OptionError, match="ordering"):
        check_ordering(ordering)  # type: ignore[arg-type]


def test_degrees_out_of_range_are_refused() -> None:
    with pytest.raises(OptionError, match=r"1\.\.2 for 3 columns; layer 0 has degrees from 1 to 3"):
        Connectivity(np.arange(3), (np.array([1, 3]),))
