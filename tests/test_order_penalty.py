"""The penalty on what orderings disagree by: it is in the loss, and it works."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import made
from made.demo import clinic
from made.errors import OptionError


def disagreement(penalty: float | None) -> float:
    table = pd.DataFrame(clinic.draw(1500))
    density = made.fit(
        table, hidden=(32,), max_epochs=8, questions=True, orderings_per_step=2, threads=1,
        order_penalty=penalty, progress=False,
    )  # fmt: skip
    found = density.record.order_check
    assert found is not None
    assert np.isfinite(density.record.validation_log_prob)
    return found.disagreement


def test_orderings_that_are_penalised_disagree_less() -> None:
    assert disagreement(2.0) < 0.8 * disagreement(None)


def test_it_takes_two_orderings_to_disagree() -> None:
    with pytest.raises(OptionError, match="needs orderings_per_step of 2"):
        made.fit(np.array([[0, 1], [1, 0]] * 20), order_penalty=0.1, max_epochs=1)
    with pytest.raises(OptionError, match="order_penalty must be a number from 0"):
        made.fit(np.array([[0, 1], [1, 0]] * 20), order_penalty=-1.0, max_epochs=1)
