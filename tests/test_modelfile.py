"""Model files: what is saved is what is loaded, to the last bit."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import made
from made import modelfile
from made.errors import OutputError

ROWS = np.random.default_rng(0).integers(0, 2, size=(60, 4)).astype(np.uint8)
TINY: dict[str, Any] = {"hidden": (8,), "members": 2, "max_epochs": 2, "progress": False}
EVERY_ROW = (np.arange(16)[:, None] >> np.arange(4)) & 1


@pytest.fixture(scope="module")
def density() -> made.Density:
    return made.fit(ROWS, **TINY)


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "seven members": {"members": 7},
    "redrawn": {"hidden_degrees": "redrawn", "members": 3},
    "residual": {"hidden": (8, 8), "residual": True, "normalization": "cumulative_rms"},
    "direct": {"hidden": (8, 5), "direct_hidden": True, "conditioning": False},
    "no hidden": {"hidden": ()},
}


@pytest.mark.parametrize("case", OPTIONS)
def test_a_loaded_model_is_the_saved_one(tmp_path: Path, case: str) -> None:
    density = made.fit(ROWS, **(TINY | OPTIONS[case]))
    place = tmp_path / "m.made"
    density.save(place)
    loaded = made.load(place)
    assert np.array_equal(loaded.log_prob(EVERY_ROW), density.log_prob(EVERY_ROW))
    assert np.array_equal(loaded.sample(50, seed=3), density.sample(50, seed=3))
    assert np.array_equal(loaded.weights, density.weights)
    assert np.exp(loaded.log_prob(EVERY_ROW)).sum() == pytest.approx(1, abs=1e-5)
    assert loaded.record == density.record
    assert loaded.schema == density.schema
    loaded.save(tmp_path / "again.made")
    assert (tmp_path / "again.made").read_bytes() == place.read_bytes()


def test_names_and_booleans_survive(tmp_path: Path) -> None:
    names = ["flag", "café", 'quote"', "emoji 🙂"]
    frame = pd.DataFrame(ROWS.astype(bool), columns=pd.Index(names))
    made.fit(frame, **TINY).save(tmp_path / "m.made")
    loaded = made.load(tmp_path / "m.made")
    assert loaded.columns == names
    drawn = loaded.sample(3)
    assert isinstance(drawn, pd.DataFrame)
    assert drawn.columns.tolist() == names
    assert drawn.dtypes.tolist() == [np.dtype(bool)] * 4


def test_two_saves_give_the_same_bytes(density: made.Density, tmp_path: Path) -> None:
    density.save(tmp_path / "one.made")
    density.save(str(tmp_path / "two.made"))
    assert (tmp_path / "one.made").read_bytes() == (tmp_path / "two.made").read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["one.made", "two.made"]


def test_the_home_folder_is_expanded(
    density: made.Density, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    density.save("~/m.made")
    assert made.load("~/m.made").columns == density.columns


def test_a_model_is_saved_whole_or_not_at_all(density: made.Density, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="it is a folder"):
        density.save(tmp_path)
    with pytest.raises(OutputError, match=r"nowhere does not exist\. Create it first"):
        density.save(tmp_path / "nowhere" / "m.made")
    assert not os.listdir(tmp_path)


def test_the_header_tells_what_the_model_is(density: made.Density, tmp_path: Path) -> None:
    density.save(tmp_path / "m.made")
    header = modelfile.read_header(tmp_path / "m.made")
    assert header.schema == density.schema
    assert header.record == density.record
    assert header.n_members == density.n_members == 2
    assert header.network.hidden == (8,)
    n_weights = sum(
        int(np.prod(shape)) for name, (_, shape) in header.tensors.items() if "network" in name
    )
    assert header.n_weights == n_weights > 4 * 8
