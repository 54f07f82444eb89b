"""The fast ways to draw rows against `sample_reference`, draw for draw."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import made.ordered.stepwise as stepwise
from cases import NETWORKS, every_row, random_model
from made.ensemble import Ensemble
from made.errors import WeightsError
from made.model import Model
from made.ordered import OrderedCache, kernels, sample_ordered, sample_reference
from made.ordered.network import order_network
from made.ordered.plan import make_plan
from made.orderings import Connectivity, with_first

# A draw may differ where its uniform is this near to its threshold; the rest of the row follows.
NEAR = 1e-5


def connectivity_of(model: Model, seed: int = 1) -> Connectivity:
    return model.connectivity_source(seed, None).training(0)


def assert_same_draws(
    model: Model, connectivity: Connectivity, uniforms: np.ndarray, drawn: np.ndarray
) -> None:
    """Rows equal the reference's up to the first cell whose uniform is at its threshold."""
    expected = sample_reference(model, connectivity, uniforms)
    with torch.no_grad():
        outputs = model.parameters_of(torch.as_tensor(expected), model.network.wire(connectivity))
    thresholds = torch.sigmoid(-outputs).numpy()
    for row in np.flatnonzero((drawn != expected).any(axis=1)):
        first = next(d for d in connectivity.order if drawn[row, d] != expected[row, d])
        assert abs(thresholds[row, first] - uniforms[row, first]) < NEAR


def draw_in_torch(
    model: Model, connectivity: Connectivity, uniforms: np.ndarray, known: np.ndarray, steps: int
) -> np.ndarray:
    return stepwise.draw_stepwise(
        order_network(model, connectivity),
        torch.as_tensor(uniforms),
        torch.as_tensor(known),
        block_steps=steps,
    ).numpy()


@settings(max_examples=120, deadline=None)
@given(
    name=st.sampled_from(sorted(NETWORKS)),
    n_columns=st.integers(1, 70),
    n_rows=st.integers(0, 150),
    known_share=st.sampled_from([0.0, 0.0, 0.3, 0.9, 1.0]),
    seed=st.integers(0, 1000),
)
def test_fast_draws_equal_the_reference(
    name: str, n_columns: int, n_rows: int, known_share: float, seed: int
) -> None:
    model = random_model(n_columns, seed, **({"hidden": (31, 22)} | NETWORKS[name]))
    uniforms = np.random.default_rng(seed).random((n_rows, n_columns))
    n_known = round(known_share * (n_columns - 1))
    source = model.connectivity_source(seed, None)
    for connectivity in (source.training(0), with_first(source.training(1), range(n_known))):
        reference = sample_reference(model, connectivity, uniforms)
        known = reference[:, connectivity.order[:n_known]]
        fast = sample_ordered(OrderedCache(model), connectivity, uniforms, known)
        assert_same_draws(model, connectivity, uniforms, fast)
        plain = draw_in_torch(model, connectivity, uniforms, known, steps=7)
        assert_same_draws(model, connectivity, uniforms, plain)


@pytest.mark.parametrize("block_steps", [1, 5, 64])
@pytest.mark.parametrize("run_steps", [1, 3, 64])
def test_blocks_of_any_size_draw_the_same(block_steps: int, run_steps: int) -> None:
    model = random_model(40, hidden=(50, 30), residual=False, direct_hidden=True)
    connectivity = connectivity_of(model)
    uniforms = np.random.default_rng(0).random((90, 40))
    plan = make_plan(
        order_network(model, connectivity), block_steps=block_steps, run_steps=run_steps
    )
    result = np.empty((90, 40), dtype=np.float32)
    kernels.draw_serial(plan, uniforms, np.empty((90, 0), np.float32), result, 32)
    assert_same_draws(model, connectivity, uniforms, result)
    plain = draw_in_torch(model, connectivity, uniforms, np.empty((90, 0), np.float32), block_steps)
    assert_same_draws(model, connectivity, uniforms, plain)


def test_a_row_does_not_depend_on_its_batch_or_on_threads() -> None:
    model = random_model(30)
    cache, connectivity = OrderedCache(model), connectivity_of(model)
    uniforms = np.random.default_rng(3).random((400, 30))
    whole = sample_ordered(cache, connectivity, uniforms)
    for first, last in ((0, 1), (7, 12), (100, 333)):
        part = sample_ordered(cache, connectivity, uniforms[first:last])
        np.testing.assert_array_equal(part, whole[first:last])
    torch.set_num_threads(2)
    try:
        np.testing.assert_array_equal(sample_ordered(cache, connectivity, uniforms), whole)
    finally:
        torch.set_num_threads(1)


def test_every_unit_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model(25, hidden=(40, 30), direct_hidden=True)
    connectivity = connectivity_of(model)
    finished: list[tuple[int, int]] = []
    original = stepwise._Walk.finish

    def counting(walk: stepwise._Walk, layer: int, units: slice) -> None:
        finished.extend((layer, unit) for unit in range(units.start, units.stop))
        original(walk, layer, units)

    monkeypatch.setattr(stepwise._Walk, "finish", counting)
    uniforms = np.random.default_rng(0).random((3, 25))
    draw_in_torch(model, connectivity, uniforms, np.empty((3, 0), np.float32), steps=6)
    assert sorted(finished) == [(0, u) for u in range(40)] + [(1, u) for u in range(30)]


def test_the_kernel_multiplies_each_weight_that_the_masks_keep_once() -> None:
    # Its pieces tile the lower triangle: no weight that is not zero is left out or used twice.
    model = random_model(50, hidden=(60, 40))
    ordered = order_network(model, connectivity_of(model))
    plan = make_plan(ordered, block_steps=20, run_steps=6)
    pieces = np.concatenate([plan.far, plan.mid, plan.near])
    weights = np.concatenate(
        [m.weight.detach().numpy().ravel() for m in (*ordered.hidden, *ordered.readouts)]
    )
    np.testing.assert_array_equal(np.sort(pieces[pieces != 0]), np.sort(weights[weights != 0]))


def test_known_columns_are_returned_and_their_units_need_no_steps() -> None:
    model = random_model(20)
    connectivity = with_first(model.connectivity_source(0, None).training(0), range(12))
    known = np.tile(np.arange(12) % 2, (5, 1)).astype(np.float32)
    uniforms = np.random.default_rng(0).random((5, 20))
    drawn = sample_ordered(OrderedCache(model), connectivity, uniforms, known)
    np.testing.assert_array_equal(drawn[:, connectivity.order[:12]], known)
    plan = make_plan(order_network(model, connectivity), 12)
    assert plan.run_edges[0] == 12
    # Units that see less than all that is known enter with one product a layer: no step is theirs.
    sizes = [int((degrees < 12).sum()) for degrees in connectivity.hidden_degrees]
    assert 0 < plan.known.size <= 12 * sizes[0] + sizes[0] * sizes[1]


def test_draws_follow_the_enumerated_distribution() -> None:
    model = random_model(4)
    members = model.connectivity_source(0, None).members(3)
    ensemble = Ensemble.mixture(model, members, [0.5, 0.2, 0.3])
    drawn = ensemble.sample(20000, seed=1)
    index = (drawn @ (2 ** np.arange(4)[::-1])).astype(int)
    expected = 20000 * np.exp(ensemble.log_prob(every_row(4)))
    found = np.bincount(index, minlength=16)
    kept = expected > 5
    chi_square = ((found - expected) ** 2 / expected)[kept].sum()
    assert chi_square < 40  # 15 degrees of freedom: passed by chance once in two thousand.


@pytest.mark.parametrize("logit", [1e4, -1e4])
def test_probabilities_that_over_or_underflow_give_the_right_draw(logit: float) -> None:
    model = random_model(6)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.network.output_bias.fill_(logit)
    uniforms = np.array([[0.0] * 6, [0.5] * 6, [np.nextafter(1, 0)] * 6])
    for rows in (uniforms, np.tile(uniforms, (50, 1))):
        drawn = sample_ordered(OrderedCache(model), connectivity_of(model), rows)
        np.testing.assert_array_equal(drawn, float(logit > 0))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(value: float) -> None:
    model = random_model(6)
    with torch.no_grad():
        model.network.output_bias[3] = value
    with pytest.raises(WeightsError, match=r"network\.output_bias holds NaN or infinity"):
        sample_ordered(OrderedCache(model), connectivity_of(model), np.zeros((1, 6)))


def test_the_cache_is_bounded_and_drops_the_oldest() -> None:
    model = random_model(10)
    members = model.connectivity_source(0, None).members(6)
    size = OrderedCache(model).plan(members[0], 0).n_bytes
    cache = OrderedCache(model, max_bytes=3 * size + 10)
    plans = [cache.plan(member, 0) for member in members[:3]]
    assert cache.plan(members[0], 0) is plans[0]
    cache.plan(members[3], 0)
    assert len(cache) == 3
    assert cache.n_bytes <= cache.max_bytes
    assert cache.plan(members[0], 0) is plans[0]
    assert cache.plan(members[1], 0) is not plans[1]


def test_the_cache_is_thrown_away_when_the_weights_change() -> None:
    model = random_model(10)
    cache, connectivity = OrderedCache(model), connectivity_of(model)
    uniforms = np.random.default_rng(0).random((50, 10))
    before = sample_ordered(cache, connectivity, uniforms)
    with torch.no_grad():
        model.network.output_bias.neg_()
    after = sample_ordered(cache, connectivity, uniforms)
    assert (after != before).any()
    assert_same_draws(model, connectivity, uniforms, after)
