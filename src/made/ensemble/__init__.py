"""Several members combined into one density: mixtures, products of experts, powers between."""

from made.ensemble.combination import Combination
from made.ensemble.ensemble import Ensemble
from made.ensemble.members import Members
from made.ensemble.normalizer import Certificate, Certification, certify
from made.ensemble.weights import LearnedWeights, learn_mixture, learn_product, mixture_gap

__all__ = [
    "Certificate",
    "Certification",
    "Combination",
    "Ensemble",
    "LearnedWeights",
    "Members",
    "certify",
    "learn_mixture",
    "learn_product",
    "mixture_gap",
]
