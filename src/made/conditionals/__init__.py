"""Conditional families: parameters -> one-dimensional distributions. One file a family.

``FAMILIES`` is the registry; the contract test runs over all of it.
"""

from made.conditionals.base import ConditionalFamily, Interval, Region
from made.conditionals.bernoulli import Bernoulli

FAMILIES: dict[str, ConditionalFamily] = {family.name: family for family in (Bernoulli(),)}

__all__ = ["FAMILIES", "Bernoulli", "ConditionalFamily", "Interval", "Region"]
