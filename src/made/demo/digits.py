"""The demo job: digits that scikit-learn ships, binarized; nats on held-out rows; a picture.

Knows the public face of the library and nothing below it, as a user would.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from made.combining import standard_error
from made.density import fit
from made.storage import replacing
from made.uniforms import HOLDOUT, generator

_SIDE = 8
_N_TEST = 397
_GRID = 10
_ZOOM = 6


@dataclass(frozen=True)
class DemoResult:
    """Mean held-out log-likelihood and its standard error for each way to combine orderings."""

    log_probs: dict[str, tuple[float, float]]
    picture: Path

    def to_json(self) -> dict[str, Any]:
        return {
            "log_probs": {
                name: {"mean_log_prob": mean, "standard_error": error}
                for name, (mean, error) in self.log_probs.items()
            },
            "picture": str(self.picture),
        }


def digits(picture: Path, *, max_time: str | float = "60s", seed: int = 0) -> DemoResult:
    """Fit the digits, score held-out ones, and write real beside drawn digits to ``picture``."""
    train, test = binarized_digits(seed)
    density = fit(train, orderings=16, hidden=(500,), dropout=0.2, max_time=max_time, seed=seed)
    members = density.member_log_probs(test)
    mixture = np.logaddexp.reduce(members, axis=1) - np.log(density.n_members)
    rows = {
        "worst single ordering": members[:, members.mean(axis=0).argmin()],
        "mean of single orderings": members.mean(axis=1),
        "best single ordering": members[:, members.mean(axis=0).argmax()],
        f"mixture of {density.n_members} orderings": mixture,
        f"kept by validation: {density.combination}": density.log_prob(test),
    }
    log_probs = {name: (float(row.mean()), standard_error(row)) for name, row in rows.items()}
    n_shown = _GRID * _GRID
    draw_picture(picture, test[:n_shown], density.sample(n_shown, seed=seed))
    return DemoResult(log_probs, picture)


def binarized_digits(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return training and test rows of 64 binary pixels, split by the seed."""
    from sklearn.datasets import load_digits

    rows = (np.asarray(load_digits(return_X_y=True)[0]) >= 8).astype(np.uint8)
    rows = rows[generator(seed, HOLDOUT).permutation(len(rows))]
    return rows[_N_TEST:], rows[:_N_TEST]


def draw_picture(path: Path, real: np.ndarray, drawn: np.ndarray) -> None:
    """Write two square grids of digits side by side as a PNG."""
    from PIL import Image

    gap = np.full((_GRID * (_SIDE + 1) + 1, 4), 255, dtype=np.uint8)
    pixels = np.concatenate([_grid(real), gap, _grid(drawn)], axis=1)
    image = Image.fromarray(pixels)
    image = image.resize((image.width * _ZOOM, image.height * _ZOOM), Image.Resampling.NEAREST)
    with replacing(path, ".png") as temporary:
        image.save(temporary, format="PNG")


def _grid(rows: np.ndarray) -> np.ndarray:
    """Return up to 100 digits in a grid of grey lines, ink dark."""
    pixels = np.full((_GRID * (_SIDE + 1) + 1,) * 2, 200, dtype=np.uint8)
    for index, row in enumerate(rows[: _GRID * _GRID]):
        top, left = (1 + (_SIDE + 1) * place for place in divmod(index, _GRID))
        pixels[top : top + _SIDE, left : left + _SIDE] = 255 - 215 * row.reshape(_SIDE, _SIDE)
    return pixels
