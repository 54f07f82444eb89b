"""Conditional families: parameters -> one-dimensional distributions. One file a family.

``FAMILIES`` is the registry; the contract test runs over all of it.
"""

from made.columns import BinaryColumn, CategoricalColumn, Column, NumericColumn
from made.conditionals.base import ConditionalFamily
from made.conditionals.bernoulli import Bernoulli
from made.conditionals.categorical import Categorical
from made.conditionals.continuous import Continuous
from made.conditionals.discrete import Discrete
from made.conditionals.numeric import NumericFamily
from made.conditionals.region import Interval, Region
from made.conditionals.stacking import Stack

FAMILIES: dict[str, type[ConditionalFamily]] = {
    family.name: family for family in (Bernoulli, Categorical, Continuous, Discrete)
}


def family_of(column: Column) -> ConditionalFamily:
    """Return the conditional family of ``column``."""
    if isinstance(column, BinaryColumn) and not column.missing:
        return Bernoulli(column)
    if isinstance(column, (BinaryColumn, CategoricalColumn)):
        return Categorical(column)
    assert isinstance(column, NumericColumn)
    return Discrete(column) if column.discrete else Continuous(column)


__all__ = [
    "FAMILIES",
    "Bernoulli",
    "Categorical",
    "ConditionalFamily",
    "Continuous",
    "Discrete",
    "Interval",
    "NumericFamily",
    "Region",
    "Stack",
    "family_of",
]
