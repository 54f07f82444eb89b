"""Which of the finished networks of a search make the model."""

from __future__ import annotations

from typing import Any

import numpy as np

from made import modelfile
from made.fitting import Fit, RowSource
from made.search.keeping import MOST_NETWORKS, keep_best, select
from search_cases import BITS


def fitted(rows: np.ndarray, seed: int, **options: Any) -> modelfile.Fitted:
    chosen: dict[str, Any] = {
        "hidden": (8,), "members": 2, "max_epochs": 3, "threads": 1, "combine": "mixture"
    }  # fmt: skip
    model, _ = Fit(**chosen | options, seed=seed).run(RowSource(rows).read())
    return model


def test_a_network_that_does_not_help_is_left_out() -> None:
    rows = np.zeros(200)
    rows[::2] = -3.0
    worse, other = rows - 1.0, np.roll(rows, 1)
    assert select([(worse, 16), (rows, 16), (other, 16), (rows, 16)]) == [1, 2]
    assert select([(rows, 16)]) == [0]
    # Many good ones: 24 are enough.
    random = np.random.default_rng(0)
    many = [(random.normal(-30.0, 10.0, 2000), 16) for _ in range(30)]
    assert len(select(many)) == MOST_NETWORKS == 24


def test_networks_of_all_orderings_have_more_members() -> None:
    splits = RowSource(BITS).read()
    one = fitted(BITS, 0, orderings="all")
    how: dict[str, Any] = {"method": "mixture", "seed": 0}
    kept = keep_best([one], splits.valid, **how, max_seconds=600.0)
    before = one.record.validation_log_prob
    assert kept.combined.mixture_log_prob is not None
    assert kept.combined.mixture_log_prob >= before
    # Only if they are no worse, if there is time, and if nobody said how many.
    assert kept.ensemble.n_members in (2, 64)
    assert keep_best([one], splits.valid, **how, max_seconds=0.0).ensemble.n_members == 2
    few = keep_best([one], splits.valid, **how, max_seconds=600.0, widen=False)
    assert few.ensemble.n_members == 2
    listed = fitted(BITS, 0, orderings=2)
    assert keep_best([listed], splits.valid, **how, max_seconds=600.0).ensemble.n_members == 2
