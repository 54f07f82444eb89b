"""Test rows are opened by a commitment that was written first, and for one model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made.benchmark.looking import Commitment, SealedRows, commit, read_commitment
from made.errors import ResultsError

ROWS = np.eye(3, dtype=np.uint8)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "commitments" / "dna-default-seed0.json"


def committed(place: Path, content: bytes = b"a model", **changes: Any) -> Commitment:
    model = place.parent.parent / "work" / "chosen.made"
    model.parent.mkdir(exist_ok=True)
    model.write_bytes(content)
    facts = {
        "suite": "made", "name": "dna", "recipe": "default", "seed": 0, "validation_nll": 80.5,
        "seconds": 9.0,
    }  # fmt: skip
    return commit(place, model, **(facts | changes))


def test_rows_stay_sealed_without_a_commitment(place: Path) -> None:
    sealed = SealedRows(ROWS)
    with pytest.raises(ResultsError, match="stay sealed: there is no commitment"):
        sealed.open(place)
    with pytest.raises(ResultsError, match="These are test rows"):
        np.asarray(sealed)
    assert len(sealed) == 3
    assert not any("rows" in name for name in vars(sealed) if not name.startswith("_SealedRows"))


def test_a_commitment_opens_and_notes_it(place: Path) -> None:
    made = committed(place)
    assert made.opened is None
    assert made.model == "work/chosen.made"
    assert (SealedRows(ROWS).open(place) == ROWS).all()
    opened = read_commitment(place)
    assert opened.opened is not None
    assert opened.written <= opened.opened
    assert opened.validation_nll == 80.5


def test_the_same_model_may_look_again(place: Path) -> None:
    committed(place)
    SealedRows(ROWS).open(place)
    first = read_commitment(place)
    assert committed(place, seconds=99.0) == first
    assert (SealedRows(ROWS).open(place) == ROWS).all()
    assert read_commitment(place) == first


def test_another_model_may_not(place: Path) -> None:
    committed(place)
    SealedRows(ROWS).open(place)
    with pytest.raises(ResultsError, match=r"dna were shown to another.*'default' and seed 0"):
        committed(place, b"a better model")
    # Its file is there now, but nobody committed to it.
    with pytest.raises(ResultsError, match=r"stay sealed: .* is to another model"):
        SealedRows(ROWS).open(place)


def test_before_the_rows_were_opened_another_model_may_be_chosen(place: Path) -> None:
    first = committed(place)
    second = committed(place, b"a better model")
    assert second.model_sha256 != first.model_sha256
    assert (SealedRows(ROWS).open(place) == ROWS).all()


def test_a_lost_model_opens_nothing(place: Path) -> None:
    committed(place)
    (place.parent.parent / "work" / "chosen.made").unlink()
    with pytest.raises(ResultsError, match="stay sealed"):
        SealedRows(ROWS).open(place)


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"suite": "made"})])
def test_a_damaged_commitment_is_named(place: Path, text: str) -> None:
    committed(place)
    place.write_text(text)
    with pytest.raises(ResultsError, match=r"dna-default-seed0\.json is damaged"):
        SealedRows(ROWS).open(place)
