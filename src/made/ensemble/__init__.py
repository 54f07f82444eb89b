"""Several members combined into one density: mixtures, products of experts, powers between."""

from made.ensemble.combination import Combination
from made.ensemble.ensemble import Ensemble
from made.ensemble.fronts import Beginning, Beginnings
from made.ensemble.given import GivenMembers, given
from made.ensemble.members import Members
from made.ensemble.normalizer import Certificate, Certification, certify
from made.ensemble.weights import LearnedWeights, learn_mixture, learn_product, mixture_gap

__all__ = [
    "Beginning",
    "Beginnings",
    "Certificate",
    "Certification",
    "Combination",
    "Ensemble",
    "GivenMembers",
    "LearnedWeights",
    "Members",
    "certify",
    "given",
    "learn_mixture",
    "learn_product",
    "mixture_gap",
]
