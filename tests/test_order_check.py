"""The record of what other orderings cost, and direct connections that leave bins out."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
import torch

from cases import mixed_model
from made.errors import ModelFileError
from made.order_check import OrderCheck
from made.ordered import Front

GOOD = OrderCheck(loss=0.1, disagreement=0.5, orderings=-1.0, particles=-1.1, n_rows=40)


def test_the_better_way_is_the_one_that_scores_more() -> None:
    assert GOOD.better == "orderings"
    assert OrderCheck(0.1, 0.5, -2.0, -1.1, 40).better == "particles"
    assert OrderCheck(0.1, 0.5, None, None, 40).better == "orderings"


def test_a_check_is_read_as_it_was_written() -> None:
    assert OrderCheck.from_json(asdict(GOOD)) == GOOD
    none = OrderCheck(0.0, 0.0, None, None, 1)
    assert OrderCheck.from_json(asdict(none)) == none


@pytest.mark.parametrize(
    "change",
    [{"loss": None}, {"loss": "1"}, {"loss": float("nan")}, {"n_rows": 0}, {"n_rows": 1.5},
     {"n_rows": True}, {"particles": True}, {"more": 1}],
)  # fmt: skip
def test_a_damaged_check_is_refused(change: dict) -> None:
    with pytest.raises(ModelFileError, match="check of orderings"):
        OrderCheck.from_json(asdict(GOOD) | change)


def test_what_is_no_check_is_refused() -> None:
    with pytest.raises(ModelFileError, match="check of orderings"):
        OrderCheck.from_json([1, 2])


def test_outputs_see_scores_and_classes_directly_and_bins_only_through_hidden_units() -> None:
    model = mixed_model(["real, holes", "grades", "stars"], direct_input=True)
    network = model.network
    n_bins = len(model.columns[0].bins) - 1 + len(model.columns[2].bins) - 1  # type: ignore[attr-defined]
    assert len(network.direct_inputs) == len(network.input_columns) - n_bins
    # Without hidden units a bin changes nothing, and a score does.
    with torch.no_grad():
        network.hidden[0].get_parameter("weight").zero_()
        for layer in network.hidden:
            layer.get_parameter("bias").zero_()
    connectivity = model.connectivity_source(0, None).training(0)
    values = torch.tensor([[10.0, 1.0, 3.0]], dtype=torch.float64)
    features = model.features(model.codes(values).float())
    wiring = network.wire(connectivity)
    before = network(features, wiring)
    for place in range(features.shape[1]):
        moved = features.clone()
        moved[0, place] += 0.5
        changed = not torch.equal(network(moved, wiring), before)
        is_last = connectivity.rank[network.input_columns[place]] == 2
        assert changed == (place in network.direct_inputs and not is_last)
    front = Front(model, connectivity, 3)
    same = front.by_column(front.outputs_of_features(features))
    assert np.allclose(same.numpy(), before.detach().numpy(), atol=1e-5)
