"""Several members combined into one density.

Knows members, a combination, and what is known of its normaliser. Knows nothing of tables,
files, training, or how the combination was chosen.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from made.ensemble.combination import Combination
from made.ensemble.draws import Annealing, acceptance_uniforms, draw_mixture_rows
from made.ensemble.fronts import Beginnings
from made.ensemble.members import Members
from made.ensemble.normalizer import Certificate, Certification, certify
from made.errors import OptionError
from made.model import Model
from made.orderings import Connectivity
from made.progress import NoProgress, Part, Progress
from made.uniforms import CANDIDATES, derived_seed

Normalizer = Literal["upper", "estimate"]

# Log-probabilities of the members that are held at once: 256 MB.
_CHUNK_CELLS = 2**25
# Cells, and rows, that are drawn together: between two chunks Ctrl-C is heard and progress is
# shown. Each chunk walks through every member once, so few rows of few columns are mostly calls.
_DRAW_CELLS, _DRAW_ROWS = 2**20, (8192, 65536)
# Of candidates that are taken, below which exact draws are refused: a row would take minutes.
_LEAST_ACCEPTANCE = 1e-4
_ANNEALED_STAGES = 32


class Ensemble:
    """Members, weights and a power: p(x) = M(x) / Z.

    Parameters
    ----------
    members : Members
    combination : Combination, optional
        By default the mixture of equal weights.
    certificate : Certificate, optional
        What is known of log Z. A mixture needs none: its normaliser is 1.
    """

    def __init__(
        self,
        members: Members,
        combination: Combination | None = None,
        certificate: Certificate | None = None,
    ) -> None:
        self.members = members
        self.combination = combination or Combination.uniform(len(members))
        if self.combination.n_members != len(members):
            raise OptionError(
                f"There are {len(members)} members and {self.combination.n_members} weights."
            )
        self._certificate = certificate

    @classmethod
    def mixture(
        cls,
        model: Model,
        connectivities: Sequence[Connectivity],
        weights: np.ndarray | Sequence[float] | None = None,
    ) -> Ensemble:
        """Return the mixture of members of one network, of equal weights by default."""
        members = Members([(model, connectivities)])
        if weights is None:
            return cls(members)
        return cls(members, Combination(np.asarray(weights, dtype=np.float64)))

    @property
    def n_members(self) -> int:
        return len(self.members)

    @property
    def weights(self) -> np.ndarray:
        return self.combination.weights

    @property
    def power(self) -> float:
        return self.combination.power

    @property
    def certificate(self) -> Certificate:
        """What is known of log Z.

        Raises
        ------
        OptionError
            If nothing is known yet: `certify` finds out.
        """
        if self._certificate is None and self.combination.is_mixture:
            self._certificate = certify(self.members, self.combination, Certification())
        if self._certificate is None:
            raise OptionError(
                f"The normaliser of this {self.combination.name} is not known. Certify it first."
            )
        return self._certificate

    @property
    def known_certificate(self) -> Certificate | None:
        """The certificate, or None if there is none yet."""
        return self._certificate

    @property
    def is_exact(self) -> bool:
        """Whether `log_prob` is exact, or a lower bound at the level of the certificate."""
        return self.combination.is_mixture or self.certificate.is_exact

    def certify(self, how: Certification, progress: Progress | None = None) -> Certificate:
        """Estimate and bound the normaliser by fresh draws, and keep the certificate."""
        self._certificate = certify(self.members, self.combination, how, progress)
        return self._certificate

    def member_log_probs(self, values: Tensor, progress: Progress | None = None) -> np.ndarray:
        """Return log q_k(x) in nats, float64, shape ``(n_rows, n_members)``."""
        return self.members.log_probs(values, progress=progress)

    def log_prob(
        self,
        values: Tensor,
        progress: Progress | None = None,
        normalizer: Normalizer = "upper",
    ) -> np.ndarray:
        """Return log p(x) in nats, float64, shape ``(n_rows,)``.

        Exact for a mixture and where Z was enumerated. Else log M(x) less the upper limit of
        log Z: all values together are a lower bound at the level of the certificate; with
        ``normalizer="estimate"`` less the estimate.
        """
        if normalizer not in ("upper", "estimate"):
            raise OptionError(f'normalizer must be "upper" or "estimate", got {normalizer!r}.')
        certificate = self.certificate
        log_z = certificate.upper if normalizer == "upper" else certificate.log_normalizer
        support = self.combination.support
        result = np.empty(len(values))
        step = max(_CHUNK_CELLS // len(support), 1)
        for start in range(0, len(values), step):
            rows = values[start : start + step]
            watch = Part(progress, start, len(rows), len(values)) if progress else None
            log_probs = self.members.log_probs(rows, support, watch)
            result[start : start + step] = self.combination.log_mean(log_probs) - log_z
        return result

    def heaviest(self, n_members: int | None) -> Ensemble:
        """Return the mixture of the members of the largest weights; all of them if None.

        Raises
        ------
        OptionError
            If there shall be none, or the members form no mixture: then none can be left out.
        """
        if n_members is None:
            return self
        if isinstance(n_members, bool) or not isinstance(n_members, (int, np.integer)):
            raise OptionError(f"orderings must be a whole number; got {n_members!r}.")
        if n_members < 1:
            raise OptionError(f"orderings must be at least 1; got {n_members}.")
        if n_members >= self.n_members or not self.combination.is_mixture:
            return self
        kept = np.argsort(-self.weights, kind="stable")[:n_members]
        weights = np.zeros(self.n_members)
        weights[kept] = self.weights[kept] / self.weights[kept].sum()
        return Ensemble(self.members, Combination(weights))

    def first(
        self, *tiers: Collection[int], as_trained: bool = False, whole: bool = False
    ) -> Beginnings:
        """Return the members with the columns of ``tiers`` first, as far as these reach."""
        return Beginnings(
            self.members, self.combination, *tiers, as_trained=as_trained, whole=whole
        )

    def log_prob_of_observed(
        self, values: Tensor, is_observed: np.ndarray, progress: Progress | None = None
    ) -> np.ndarray:
        """Return log p of the observed cells of each row, in nats, shape ``(n_rows,)``.

        sum_k w_k q_k(x_O), each member with the observed columns O first in its ordering: the
        others are never reached. Exact, and a joint density of O for each O; that of another O is
        one of another ensemble, and the two need not agree to the last digit.

        Parameters
        ----------
        values : Tensor, shape (n_rows, n_columns)
            A cell that is not observed may have any value that its column can have.
        is_observed : ndarray of bool, shape (n_rows, n_columns)

        Raises
        ------
        OptionError
            Below power 1: what a product says of some columns needs a sum over all others.
        """
        if not self.combination.is_mixture:
            raise OptionError(
                f"The probability of some columns alone needs a mixture, and the members form a "
                f'{self.combination.name}. Ask the mixture (ensemble="mixture"), or fit with '
                'combine="mixture".'
            )
        watch = progress or NoProgress()
        result = np.zeros(len(values))
        patterns, pattern_of = np.unique(is_observed, axis=0, return_inverse=True)
        done = 0
        for number, pattern in enumerate(patterns):
            rows = np.flatnonzero(pattern_of.reshape(-1) == number)
            columns = np.flatnonzero(pattern)
            if len(columns):
                result[rows] = self.first(columns).log_prob(values[torch.as_tensor(rows)])
            done += len(rows)
            watch.update(done, len(values))
        return result

    def sample(
        self, n_rows: int, seed: int, *, first_row: int = 0, progress: Progress | None = None
    ) -> np.ndarray:
        """Draw rows ``first_row .. first_row + n_rows - 1`` of the endless table of ``seed``.

        A row of a mixture picks a member by the weights, then its cells along that member's
        ordering. Below power 1 such rows are candidates, taken with probability M(x) / M_1(x):
        the rows are then draws of exactly M / Z, and the share that is taken is Z. A row depends
        on the seed and its number alone. Returns ``(n_rows, n_columns)``.

        A category that fit never saw has a mass and no name: rows are drawn given that they hold
        none, by drawing again.

        Raises
        ------
        OptionError
            If fewer than one candidate in ten thousand would be taken.
        """
        if not self.combination.is_mixture:
            self._check_acceptance()
        return _in_chunks(self._draw, n_rows, seed, first_row, self.members, progress)

    def sample_annealed(
        self, n_rows: int, seed: int, *, first_row: int = 0, progress: Progress | None = None
    ) -> np.ndarray:
        """Draw rows that are only approximately from p: the ends of chains from the mixture.

        For a Z so small that `sample` refuses. Returns ``(n_rows, n_columns)``.
        """
        chains = Annealing(self.members, self.combination, _ANNEALED_STAGES)

        def draw(first: int, n_drawn: int, key: int) -> np.ndarray:
            rows = chains.run(first, n_drawn, key)[0]
            attempt = 0
            while (unseen := self.members.holds_unseen(rows)).any():
                again = chains.run(first, n_drawn, derived_seed(key, CANDIDATES, attempt))[0]
                rows[unseen] = again[unseen]
                attempt += 1
            return rows

        return _in_chunks(draw, n_rows, seed, first_row, self.members, progress)

    @property
    def acceptance(self) -> float:
        """The share of candidates that `sample` takes: Z, as far as it is known."""
        return float(np.exp(self.certificate.log_normalizer))

    def _check_acceptance(self) -> None:
        if self.acceptance < _LEAST_ACCEPTANCE:
            raise OptionError(
                f"Exact draws take one candidate in {1 / self.acceptance:.3g}: that is not "
                'practical. Ask for approximate ones with method="annealed".'
            )

    def _draw(self, first_row: int, n_rows: int, seed: int) -> np.ndarray:
        result = self.members.empty(n_rows)
        waiting = first_row + np.arange(n_rows)
        attempt = 0
        while len(waiting):
            # A mixture takes nearly all: its first candidates are the rows of the seed itself.
            is_mixture = self.combination.is_mixture
            key = derived_seed(seed, CANDIDATES, attempt) if attempt or not is_mixture else seed
            candidates = draw_mixture_rows(self.members, self.weights, waiting, key)
            taken = ~self.members.holds_unseen(candidates)
            if not is_mixture:
                log_probs = self.members.log_probs(
                    torch.as_tensor(candidates), self.combination.support
                )
                ratios = np.exp(self.combination.log_ratio(log_probs))
                taken &= acceptance_uniforms(waiting, key) < ratios
            result[waiting[taken] - first_row] = candidates[taken]
            waiting = waiting[~taken]
            attempt += 1
        return result


def _in_chunks(draw, n_rows, seed, first_row, members, progress) -> np.ndarray:
    watch = progress or NoProgress()
    result = members.empty(n_rows)
    step = min(max(_DRAW_CELLS // members.n_columns, _DRAW_ROWS[0]), _DRAW_ROWS[1])
    for start in range(0, n_rows, step):
        stop = min(start + step, n_rows)
        result[start:stop] = draw(first_row + start, stop - start, seed)
        watch.update(stop, n_rows)
    return result
