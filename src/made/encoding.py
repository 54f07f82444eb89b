"""Codes of cells -> input features of the network. Knows columns; knows nothing of families.

| column | features |
| --- | --- |
| 0 or 1, never missing | the cell itself |
| categories | one for each class, missing among them; a point in a space if they are many |
| numbers | the score, where it stands in each of its bins, and whether it is missing |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from made.columns import BinaryColumn, CategoricalColumn, Column, NumericColumn
from made.columns.numeric import LARGEST_SCORE

# Dimensions of the space in which the classes of a column with very many of them lie.
EMBEDDING_SIZE = 32


def is_plain(column: Column) -> bool:
    """Return whether a cell of the column is its own feature."""
    return isinstance(column, BinaryColumn) and not column.missing


def is_embedded(column: Column) -> bool:
    """Return whether the classes of the column are points that are learned."""
    return isinstance(column, CategoricalColumn) and column.is_embedded


def n_inputs(column: Column) -> int:
    """Return the number of features of one cell."""
    if is_plain(column):
        return 1
    if isinstance(column, NumericColumn):
        return len(column.bins) + int(column.missing)
    assert isinstance(column, (BinaryColumn, CategoricalColumn))
    if is_embedded(column):
        return EMBEDDING_SIZE
    return column.n_classes if column.n_classes > 1 else 0


class Encoder:
    """Turns the codes of some columns into features, all columns of a sort at once.

    A score z becomes z / 8, and for each bin (l, r) its place min(max((z - l) / (r - l), 0), 1): a
    piecewise linear encoding (Gorishniy et al., "On embeddings for numerical features", 2022).

    Parameters
    ----------
    columns : sequence of Column
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        widths = [n_inputs(column) for column in columns]
        self.input_columns = np.repeat(np.arange(len(columns)), widths)
        self.n_inputs = sum(widths)
        # All but the bins of numbers: outputs that see these directly over-fit them.
        self.direct_inputs = np.concatenate(
            [np.empty(0, np.int64), *map(_direct, columns, widths, np.cumsum([0, *widths]))]
        )
        self.n_codes = sum(column.n_codes for column in columns)
        self._is_plain = all(is_plain(column) for column in columns)
        self._embedded: list[tuple[int, int, slice]] = []
        plain, classes, numbers, missing = [], [], [], []
        bins: list[tuple[int, int, float, float]] = []
        holes: list[tuple[int, int, int]] = []
        code = feature = 0
        for place, (column, width) in enumerate(zip(columns, widths, strict=True)):
            if is_plain(column):
                plain.append((feature, code))
            elif isinstance(column, NumericColumn):
                numbers.append((feature, code + 1))
                edges = zip(column.bins[:-1], column.bins[1:], strict=True)
                for number, (left, right) in enumerate(edges, start=1):
                    bins.append((feature + number, code + 1, left, 1 / (right - left)))
                if column.missing:
                    missing.append((feature + width - 1, code, column.missing_state))
                    holes.extend(
                        (feature + number, code, column.missing_state)
                        for number in range(width - 1)
                    )
            elif is_embedded(column):
                self._embedded.append((place, code, slice(feature, feature + width)))
            elif width:
                classes.append((feature, code))
            code, feature = code + column.n_codes, feature + width
        self._plain = _pairs(plain)
        self._classes = _pairs(classes)
        self._numbers = _pairs(numbers)
        self._bins = _pairs([entry[:2] for entry in bins])
        self._bin_starts = torch.tensor([entry[2] for entry in bins])
        self._bin_slopes = torch.tensor([entry[3] for entry in bins])
        self._missing = _pairs([entry[:2] for entry in missing])
        self._missing_states = torch.tensor([float(entry[2]) for entry in missing])
        self._holes = _pairs([entry[:2] for entry in holes])
        self._hole_states = torch.tensor([float(entry[2]) for entry in holes])

    def __call__(self, codes: Tensor, tables: Mapping[str, Tensor]) -> Tensor:
        """Return the features, shape ``(n_rows, n_inputs)``, of ``codes`` (n_rows, n_codes).

        ``tables`` holds the points of embedded columns, by the text of their place.
        """
        if self._is_plain:
            return codes
        self._move(codes.device)
        # One more feature takes what belongs nowhere.
        features = codes.new_zeros(len(codes), self.n_inputs + 1)
        features[:, self._plain[0]] = codes[:, self._plain[1]]
        features[:, self._numbers[0]] = (codes[:, self._numbers[1]] / LARGEST_SCORE).clamp(-1, 1)
        places = (codes[:, self._bins[1]] - self._bin_starts) * self._bin_slopes
        features[:, self._bins[0]] = places.clamp_(0, 1)
        chosen = codes[:, self._classes[1]].long()
        # A level that was never seen (-1) is no class.
        chosen = torch.where(chosen < 0, self.n_inputs, chosen + self._classes[0])
        features.scatter_(1, chosen, 1.0)
        # A missing number has no score and stands in no bin.
        is_hole = codes[:, self._holes[1]] == self._hole_states
        features[:, self._holes[0]] *= ~is_hole
        is_missing = codes[:, self._missing[1]] == self._missing_states
        features[:, self._missing[0]] = is_missing.to(features.dtype)
        features = features[:, : self.n_inputs]
        for place, code, span in self._embedded:
            level = codes[:, code].long()
            points = tables[str(place)][level.clamp(min=0)] * (level >= 0)[:, None]
            features = torch.cat([features[:, : span.start], points, features[:, span.stop :]], 1)
        return features

    def _move(self, device: torch.device) -> None:
        if self._bin_starts.device == device:
            return
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(self, name, value.to(device))
            elif isinstance(value, tuple):
                setattr(self, name, tuple(part.to(device) for part in value))


def _direct(column: Column, width: int, start: int) -> np.ndarray:
    """Return the features of a column that outputs may see without a hidden layer between."""
    places = np.arange(start, start + width)
    if not isinstance(column, NumericColumn):
        return places
    return places[[0, *([width - 1] if column.missing else [])]]


def _pairs(entries: Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor]:
    """Return the features and the codes of ``entries``."""
    table = torch.tensor(entries, dtype=torch.int64).view(-1, 2)
    return table[:, 0].contiguous(), table[:, 1].contiguous()
