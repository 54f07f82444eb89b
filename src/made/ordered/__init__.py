"""One connectivity at work: every unit sorted by degree, computed once."""

from made.ordered.front import Front
from made.ordered.network import OrderedNetwork
from made.ordered.reference import sample_reference
from made.ordered.sampling import OrderedCache, sample_ordered

__all__ = ["Front", "OrderedCache", "OrderedNetwork", "sample_ordered", "sample_reference"]
