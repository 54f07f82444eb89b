"""Tables for the benchmark: reading, splits, the recorded step of a column, noise, integer codes.

Knows the files and nothing of models. What the methods are compared on is made here once, so that
all of them see the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

CONTINUOUS = (
    "bostonhousing", "energy", "naval_propulsion_plant", "power_plant",
    "protein_tertiary_structure", "wine_quality_red",
)  # fmt: skip
MIXED = (
    "adult_census_train", "titanic", "penguins", "german_credit", "california_housing", "mushroom",
    "telco_churn", "credit_card_default", "pima_diabetes", "diamonds", "credit_data",
)  # fmt: skip
TWO_SAMPLE = ("adult_census_train", "california_housing", "diamonds", "telco_churn")
EVERY = (
    *MIXED, "adult_census_test", "titanic_kaggle", "covertype_subset", "faa_bird_strikes",
    "vehicle_thefts", "nys_dmv_tiny",
)  # fmt: skip
QUESTION_MARKS = ("adult_census_train", "adult_census_test", "mushroom")
IDENTIFIERS = {
    "telco_churn": ["customerID"], "credit_card_default": ["ID"], "credit_data": ["rownames"],
}  # fmt: skip
# Relative to the largest value: gaps below it are rounding of the binary representation.
_ROUNDING = 1e-12
_MOST_DECIMALS = 9


@dataclass(frozen=True)
class Splits:
    """The same rows for everybody: arrays or frames."""

    train: np.ndarray | pd.DataFrame
    valid: np.ndarray | pd.DataFrame
    test: np.ndarray | pd.DataFrame


def missing_texts(name: str) -> list[str]:
    """Return what the data's page says stands for a missing cell, beyond the usual texts."""
    return ["?"] if name in QUESTION_MARKS else []


def read_table(data: Path, name: str) -> pd.DataFrame:
    """Return a table without its identifiers; the text "None" is an answer and no missing cell."""
    frame = pd.read_csv(
        table_path(data, name),
        keep_default_na=False,
        na_values=["", "NA", "NaN", *missing_texts(name)],
    )
    return frame.drop(columns=IDENTIFIERS.get(name, []))


def table_path(data: Path, name: str) -> Path:
    return data / "tables" / f"{name}.csv.gz"


def split_rows(
    rows: np.ndarray | pd.DataFrame, seed: int, valid: float = 0.1, test: float = 0.1
) -> Splits:
    """Return rows shuffled by the seed and cut into three."""
    order = np.random.default_rng(seed).permutation(len(rows))
    n_valid, n_test = round(valid * len(rows)), round(test * len(rows))
    parts = np.split(order, [len(rows) - n_valid - n_test, len(rows) - n_test])
    if isinstance(rows, pd.DataFrame):
        return Splits(*(rows.iloc[part].reset_index(drop=True) for part in parts))
    return Splits(*(rows[part] for part in parts))


def continuous_splits(data: Path, name: str, seed: int) -> Splits:
    """Return the rows of a real-valued set, noise added, in original units.

    Constant columns and exact copies of an earlier column are dropped. Each cell gets a uniform
    within half of its column's step to each side. The step is the smallest gap between two
    distinct values, so that the noise of no two values overlaps: for any density the mean log
    density of the noisy rows is then a lower bound of the mean log mass of the recorded cells.
    """
    with np.load(data / "continuous" / f"{name}.npz") as arrays:
        rows = arrays["data"].astype(float)
    kept: list[np.ndarray] = []
    for column in rows.T:
        if np.ptp(column) > 0 and not any(np.array_equal(column, other) for other in kept):
            kept.append(column)
    rows = np.stack(kept, axis=1)
    steps = np.array([smallest_gap(column) for column in rows.T])
    noise = np.random.default_rng([seed, 1]).uniform(-0.5, 0.5, size=rows.shape)
    return split_rows(rows + steps * noise, seed)


def smallest_gap(values: np.ndarray) -> float:
    gaps = np.diff(np.unique(values))
    return float(gaps[gaps > _ROUNDING * np.abs(values).max()].min())


@dataclass(frozen=True)
class Grid:
    """The values a numeric column can take: ``offset + step * code`` for integers ``code``."""

    offset: float
    step: float

    @classmethod
    def of(cls, values: np.ndarray) -> Grid | None:
        """Return the coarsest grid that holds all values, or None if there is no decimal one."""
        values = np.unique(values[np.isfinite(values)])
        for decimals in range(_MOST_DECIMALS + 1):
            scaled = np.round(values * 10.0**decimals)
            if np.allclose(scaled / 10.0**decimals, values, rtol=_ROUNDING, atol=0):
                break
        else:
            return None
        whole = scaled.astype(np.int64)
        divisor = int(np.gcd.reduce(np.diff(whole))) or 1
        # 0 stays 0 wherever it is on the grid, as the origin of an amount is no accident.
        return cls(float(whole[0] % divisor) / 10.0**decimals, divisor / 10.0**decimals)

    def codes(self, values: np.ndarray) -> np.ndarray:
        """Return the nearest codes; not a number stays so."""
        return np.round((values - self.offset) / self.step)

    def values(self, codes: np.ndarray) -> np.ndarray:
        return self.offset + self.step * codes


def numeric_columns(frame: pd.DataFrame, least: int = 3) -> list[str]:
    """Return the columns of numbers with at least so many distinct values."""
    return [
        name
        for name in frame
        if pd.api.types.is_numeric_dtype(frame[name])
        and not pd.api.types.is_bool_dtype(frame[name])
        and frame[name].nunique() >= least
    ]


def integer_coded(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the table with numbers as integer codes and the rest as text, and who is a number.

    Every outcome is then discrete: what a model gives a row is the mass of its recorded cells.
    """
    numeric = numeric_columns(frame)
    coded = {}
    for name in frame:
        column = frame[name]
        if name in numeric:
            values = column.to_numpy(float)
            grid = Grid.of(values)
            if grid is None:
                raise ValueError(f"Column {name!r} has values on no decimal grid.")
            coded[name] = pd.array(grid.codes(values), dtype="Int64")
        else:
            coded[name] = column.astype("string").astype(object).where(column.notna(), None)
    return pd.DataFrame(coded), numeric
