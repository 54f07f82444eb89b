"""Features of cells: what the network sees of each kind of column."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from cases import COLUMNS, with_holes
from made.columns import BinaryColumn, CategoricalColumn, Column, NumericColumn
from made.columns.fitting import fit_categorical, fit_numeric
from made.columns.numeric import ContinuousColumn, IntegerColumn
from made.encoding import EMBEDDING_SIZE, Encoder, is_embedded, n_inputs

EMBEDDED = fit_categorical("codes", np.append(np.arange(3000.0) % 300, np.nan), list(range(300)))


def features(
    column: Column, values: list[float], tables: Mapping[str, Tensor] | None = None
) -> Tensor:
    codes = torch.as_tensor(column.codes(np.array(values)))
    return Encoder([column])(codes, tables or {})


def cells_of(column: Column, n_rows: int) -> np.ndarray:
    random = np.random.default_rng(1)
    if isinstance(column, NumericColumn):
        values = random.choice([*column.knots, *column.atoms], n_rows)
        return with_holes(values) if column.missing else values
    assert column.outcomes is not None
    return random.choice(column.outcomes, n_rows)


def tables_of(columns: list[Column]) -> dict[str, Tensor]:
    """Return points of all embedded columns, by the text of their place."""
    return {
        str(place): torch.randn(column.n_classes, EMBEDDING_SIZE)
        for place, column in enumerate(columns)
        if isinstance(column, CategoricalColumn) and is_embedded(column)
    }


def test_a_bit_is_its_own_feature() -> None:
    assert features(BinaryColumn("x"), [0.0, 1.0]).tolist() == [[0.0], [1.0]]


def test_a_bit_that_can_be_missing_has_three_inputs() -> None:
    column = BinaryColumn("x", missing=True)
    assert features(column, [0.0, 1.0, np.nan]).tolist() == np.eye(3).tolist()


def test_each_class_has_an_input_and_the_unseen_has_none() -> None:
    column = CategoricalColumn("x", "", True, tuple("abcd"), (50, 1, 3, 40), 100)
    seen = features(column, [0, 1, 2, 3, np.nan, 4])
    wanted = [[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]]
    assert seen.tolist() == wanted


@pytest.mark.parametrize("name", ["one level", "no level", "all levels once"])
def test_a_column_of_one_class_has_no_input(name: str) -> None:
    column = COLUMNS[name]
    assert n_inputs(column) == 0
    assert Encoder([column])(torch.zeros(3, 2), {}).shape == (3, 0)


def test_a_number_is_its_score_and_its_place_in_each_bin() -> None:
    column = ContinuousColumn(
        "x", missing=True, knots=(0.0, 1.0), scores=(0.0, 1.0), bins=(-1.0, 0.0, 2.0)
    )
    assert features(column, [-5.0, -0.5, 1.0, 100.0, np.nan]).tolist() == [
        [-0.625, 0, 0, 0],
        [-0.0625, 0.5, 0, 0],
        [0.125, 1, 0.5, 0],
        [1, 1, 1, 0],
        [0, 0, 0, 1],
    ]


def test_numbers_that_differ_differ_in_their_features() -> None:
    values = np.concatenate([np.zeros(900), np.arange(1.0, 40.0), [1e6]])
    column = fit_numeric(IntegerColumn, "x", values, low=0.0)
    seen = features(column, [0, 1, 2, 3, 20, 39, 1e6])
    assert torch.cdist(seen, seen).fill_diagonal_(1).min() > 1e-3


def test_very_many_classes_are_points() -> None:
    assert is_embedded(EMBEDDED)
    assert n_inputs(EMBEDDED) == EMBEDDING_SIZE
    points = torch.randn(EMBEDDED.n_classes, EMBEDDING_SIZE, requires_grad=True)
    seen = features(EMBEDDED, [0.0, 299.0, 300.0, np.nan], {"0": points})
    assert torch.equal(seen[0], points[0])
    assert torch.equal(seen[1], points[299])
    assert (seen[2] == 0).all()
    assert torch.equal(seen[3], points[300])
    (gradient,) = torch.autograd.grad(seen.sum(), points)
    assert gradient.sum(1).nonzero()[:, 0].tolist() == [0, 299, 300]


def test_columns_side_by_side_are_encoded_as_each_alone() -> None:
    columns = [*COLUMNS.values(), EMBEDDED, BinaryColumn("last")]
    n_rows = 25
    codes = [torch.as_tensor(column.codes(cells_of(column, n_rows))) for column in columns]
    tables = tables_of(columns)
    encoder = Encoder(columns)
    together = encoder(torch.cat(codes, dim=1), tables)
    alone = [
        Encoder([column])(own, {"0": tables[str(place)]} if is_embedded(column) else {})
        for place, (column, own) in enumerate(zip(columns, codes, strict=True))
    ]
    assert torch.equal(together, torch.cat(alone, dim=1))
    assert together.shape == (n_rows, encoder.n_inputs)
    widths = [n_inputs(column) for column in columns]
    assert np.array_equal(encoder.input_columns, np.repeat(np.arange(len(columns)), widths))


def test_bits_alone_are_passed_on_and_no_rows_are_no_trouble() -> None:
    codes = torch.tensor([[0.0, 1.0]])
    assert Encoder([BinaryColumn("a"), BinaryColumn("b")])(codes, {}) is codes
    columns = list(COLUMNS.values())
    encoder = Encoder(columns)
    assert encoder(torch.empty(0, encoder.n_codes), tables_of(columns)).shape == (
        0,
        encoder.n_inputs,
    )
