"""Which combination of the members to keep: candidates, compared on validation rows, honestly.

Whatever was learned on the validation rows wins on them, so learned weights are cross-fitted
before they are compared; rows that were drawn to compare normalisers never certify the winner.
Knows members and validation rows; knows nothing of tables, files or how members were trained.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from made.certificate import Certificate
from made.ensemble import (
    Certification,
    Combination,
    Ensemble,
    Members,
    certify,
    learn_mixture,
    learn_product,
    mixture_gap,
)
from made.ensemble.combination import check_power
from made.ensemble.draws import draw_mixture
from made.errors import DataError, OptionError
from made.progress import NoProgress, Progress
from made.uniforms import COMPARISON, FOLDS, derived_seed, generator

METHODS = ("auto", "mixture", "em", "product", "power=A")
_POWERS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_SMOOTH = 5.0
_SPARSE = 0.5
# Nats a row within which weights are the best: far below what validation rows can tell.
_TOLERANCE = 1e-3
_N_FOLDS = 5
# Rows times members times steps of EM: some seconds.
_LEARNING_CELLS = 1e8
# Rows times members that are drawn and scored to compare normalisers.
_COMPARED_CELLS = 2**18
_MIN_COMPARED, _MAX_COMPARED = 1024, 16384
# Of a limit on time, what these draws may take.
_COMPARED_SHARE = 0.25
# Of that limit, after which no more weights are learned.
_LEARNING_SHARE = 0.6
# log Z is certified to this share of the standard error of the validation rows, but to .02 nats
# at least.
_WIDTH_SHARE = 0.25
_WIDEST = 0.02

# From the log-probs of all members on some rows to a combination that was learned on them.
Learn = Callable[[np.ndarray], Combination]


@dataclass(frozen=True)
class Candidate:
    """One line of the comparison; log-likelihoods are mean nats a validation row.

    ``log_prob`` is cross-fitted where weights were learned, and conservative: less an upper
    limit of log Z. ``difference`` is against the uniform mixture of the same members, its
    standard error paired by rows and with that of log Z.
    """

    name: str
    log_prob: float
    difference: float
    standard_error: float
    log_normalizer: float
    log_normalizer_upper: float
    n_members: int
    chosen: bool = False


@dataclass(frozen=True)
class Choice:
    """The combination that was kept, its certificate, and what it was compared with.

    ``scores`` are log-probabilities of the validation rows, conservative, and cross-fitted where
    weights were learned; ``mixture_scores`` those of the uniform mixture. ``gap`` bounds what other
    weights of a mixture would gain on them. ``log_probs`` are of all members, shape
    ``(n_rows, n_members)``.
    """

    ensemble: Ensemble
    scores: np.ndarray
    mixture_scores: np.ndarray
    gap: float | None
    candidates: list[Candidate]
    log_probs: np.ndarray


def parse_method(method: str) -> tuple[str, float | None]:
    """Return the kind of combination and its power, or raise `OptionError`.

    Examples
    --------
    >>> parse_method("power=0.7"), parse_method("auto")
    (('power', 0.7), ('auto', None))
    """
    kind, has_value, value = method.partition("=")
    if kind == "power" and has_value:
        try:
            return kind, check_power(float(value))
        except ValueError as error:
            if isinstance(error, OptionError):
                raise
    elif method in METHODS[:4]:
        return method, None
    raise OptionError(
        f"combine must be one of {', '.join(METHODS)} (A from 0 to 1); got {method!r}."
    )


def choose_combination(
    members: Members,
    valid: Tensor,
    method: str = "auto",
    certification: Certification | None = None,
    width: float | None = None,
    progress: Progress | None = None,
) -> Choice:
    """Weigh the combinations of ``members`` on validation rows and keep the best.

    "auto" compares the uniform mixture, weights by EM, powers between 0 and 1, learned weights
    of the product, and small trees, and keeps the best if it is better than the uniform mixture
    by more than the standard error of the difference. Other methods keep what they name.

    Parameters
    ----------
    members : Members
    valid : Tensor, shape (n_rows, n_columns)
    method : {"auto", "mixture", "em", "product", "power=A"}
    certification : Certification, optional
        How log Z is certified: level, seed, budget.
    width : float, optional
        How narrow the interval of log Z shall be, in nats; by default a quarter of the standard
        error of the validation rows, at most .02.
    """
    kind, power = parse_method(method)
    if not len(valid):
        raise DataError("A combination is chosen by validation rows, and there are none.")
    started = time.monotonic()
    how = certification or Certification()
    watch = progress or NoProgress()
    watch.update(0, 1, "scoring the validation rows by all members")
    log_probs = members.log_probs(valid, progress=watch)
    seconds_each = (time.monotonic() - started) / log_probs.size
    uniform = Combination.uniform(len(members))
    baseline = uniform.log_mean(log_probs)
    if width is None:
        spread = baseline.std(ddof=1) / len(baseline) ** 0.5 if len(baseline) > 1 else _WIDEST
        width = min(max(_WIDTH_SHARE * float(spread), 1e-4), _WIDEST)
    n_compared = _COMPARED_CELLS
    if how.max_seconds is not None:
        n_compared = min(n_compared, int(_COMPARED_SHARE * how.max_seconds / seconds_each))
    comparison = _Comparison(members, log_probs, n_compared, how.seed, watch)
    weighed = [comparison.weigh("mixture, equal weights", uniform)]
    for number, (name, made) in enumerate(wanted := _wanted(kind, power, members, comparison)):
        watch.update(number, len(wanted), f"weighing the {name}")
        used = time.monotonic() - started
        late = used > _LEARNING_SHARE * (how.max_seconds or np.inf)
        if kind == "auto" and late and not isinstance(made, Combination):
            continue  # What is left of the time is for the certificate.
        weighed.append(comparison.weigh(name, made))
    how = replace(how, width=width)
    if kind == "auto":
        best, certificate = _certify_best(members, weighed, how, started, watch)
    else:
        best = len(weighed) - 1
        certificate = _certify(members, weighed[best].combination, how, started, watch)
    line, combination, scores = weighed[best]
    lines = [one.line for one in weighed]
    lines[best] = replace(line, chosen=True)
    return Choice(
        Ensemble(members, combination, certificate),
        # The limit of the comparison gives way to the certified one.
        scores + line.log_normalizer_upper - certificate.upper,
        baseline,
        mixture_gap(log_probs, combination.weights) if combination.is_mixture else None,
        lines,
        log_probs,
    )


class _Weighed(NamedTuple):
    """A candidate's line, what it is, and its scores of the validation rows."""

    line: Candidate
    combination: Combination
    scores: np.ndarray


def _certify_best(
    members: Members, weighed: list[_Weighed], how: Certification, started: float, watch: Progress
) -> tuple[int, Certificate]:
    """Return the best that beats the first, the uniform mixture, also by its certified limit."""
    for place in np.argsort([-one.line.log_prob for one in weighed], kind="stable").tolist():
        line = weighed[place].line
        if place and line.difference <= line.standard_error:
            continue
        certificate = _certify(members, weighed[place].combination, how, started, watch)
        loss = certificate.upper - line.log_normalizer_upper
        if not place or line.difference - loss > line.standard_error:
            return place, certificate
    # Here the mixture was behind all others, and none of them held what it promised.
    return 0, _certify(members, weighed[0].combination, how, started, watch)


def _certify(
    members: Members,
    combination: Combination,
    how: Certification,
    started: float,
    watch: Progress,
) -> Certificate:
    """Certify within what is left of the time."""
    watch.update(0, 1, f"certifying the {combination.name}")
    if how.max_seconds is not None:
        left = how.max_seconds - (time.monotonic() - started)
        how = replace(how, max_seconds=max(left, 0.0))
    return certify(members, combination, how, watch)


def _wanted(
    kind: str, power: float | None, members: Members, comparison: _Comparison
) -> list[tuple[str, Combination | Learn]]:
    """Return what is compared with the uniform mixture, and kept if a method names it."""
    n_members = len(members)
    if kind == "mixture" or n_members == 1:
        return []
    if kind == "em":
        return [("mixture, EM weights", _em_learner(1.0))]
    if kind in ("product", "power"):
        fixed = Combination.uniform(n_members, power or 0.0)
        return [(fixed.name, fixed)]
    fixed = [Combination.uniform(n_members, power) for power in _POWERS] + _trees(members)
    return [
        *((combination.name, combination) for combination in fixed),
        ("mixture, EM weights", _em_learner(1.0)),
        ("mixture, smooth EM weights", _em_learner(_SMOOTH)),
        ("mixture, sparse EM weights", _em_learner(_SPARSE)),
        ("product, learned weights", comparison.learn_product),
    ]


class _Comparison:
    """Scores candidates on the validation rows; one draw of rows serves all normalisers."""

    def __init__(
        self, members: Members, log_probs: np.ndarray, n_cells: int, seed: int, watch: Progress
    ) -> None:
        self._members = members
        self._n_cells = n_cells
        self._log_probs = log_probs
        self._uniform = Combination.uniform(len(members))
        self._baseline = self._uniform.log_mean(log_probs)
        self._seed = seed
        self._watch = watch
        self._drawn: tuple[np.ndarray, np.ndarray] | None = None

    def weigh(self, name: str, made: Combination | Learn) -> _Weighed:
        """Return a candidate with its scores; what is learned is cross-fitted."""
        combination = made if isinstance(made, Combination) else made(self._log_probs)
        log_z, log_z_error = self._log_normalizer(combination)
        if isinstance(made, Combination):
            used = self._log_probs[:, combination.support]
            scores = combination.log_mean(used) - log_z - 2 * log_z_error
        else:
            scores = self._cross_fitted(made)
        difference = scores - self._baseline
        paired = difference.std(ddof=1) / len(scores) ** 0.5 if len(scores) > 1 else 0.0
        line = Candidate(
            name,
            log_prob=float(scores.mean()),
            # Adding 0 turns -0 into 0.
            difference=float(difference.mean().round(12)) + 0.0,
            standard_error=float(np.hypot(paired, log_z_error)),
            log_normalizer=log_z,
            log_normalizer_upper=log_z + 2 * log_z_error,
            n_members=len(combination.support),
        )
        return _Weighed(line, combination, scores)

    def _cross_fitted(self, learn: Learn) -> np.ndarray:
        """Return conservative scores of all rows, each by weights that never saw it."""
        n_rows = len(self._log_probs)
        n_folds = min(_N_FOLDS, n_rows)
        folds = generator(self._seed, FOLDS).permutation(n_rows) % n_folds
        scores = np.empty(n_rows)
        for fold in range(n_folds):
            held = folds == fold
            fitted = self._uniform if held.all() else learn(self._log_probs[~held])
            log_z, error = self._log_normalizer(fitted)
            held_log_probs = self._log_probs[np.ix_(held, fitted.support)]
            scores[held] = fitted.log_mean(held_log_probs) - log_z - 2 * error
        return scores

    def learn_product(self, log_probs: np.ndarray) -> Combination:
        """Return the product of the best weights, learned from half of the drawn rows."""
        drawn, proposal = self._compared()
        half = len(drawn) // 2
        learned = learn_product(log_probs, drawn[:half], proposal[:half], _TOLERANCE, max_steps=300)
        # What is nearly nothing costs a forward pass all the same.
        weights = np.where(learned.weights < 1e-4 / len(learned.weights), 0.0, learned.weights)
        return Combination(weights / weights.sum(), 0.0)

    def _log_normalizer(self, combination: Combination) -> tuple[float, float]:
        """Return log Z by the compared rows, and its standard error."""
        if combination.is_mixture:
            return 0.0, 0.0
        drawn, proposal = self._compared()
        # Learned weights saw the first half.
        half = len(drawn) // 2
        rows, base = drawn[half:], proposal[half:]
        terms = np.exp(combination.log_mean(rows[:, combination.support]) - base)
        mean = max(float(terms.mean()), 1e-300)
        return float(np.log(mean)), float(terms.std(ddof=1) / len(terms) ** 0.5 / mean)

    def _compared(self) -> tuple[np.ndarray, np.ndarray]:
        """Return member log-probs of rows from the uniform mixture, and their log-probs there."""
        if self._drawn is None:
            n_members = len(self._members)
            n_rows = int(np.clip(self._n_cells // n_members, _MIN_COMPARED, _MAX_COMPARED))
            self._watch.update(0, 1, "drawing rows to compare normalisers")
            rows = draw_mixture(
                self._members,
                self._uniform.weights,
                0,
                n_rows,
                derived_seed(self._seed, COMPARISON),
            )
            log_probs = self._members.log_probs(torch.as_tensor(rows), progress=self._watch)
            self._drawn = log_probs, self._uniform.log_mean(log_probs)
        return self._drawn


def _em_learner(concentration: float) -> Learn:
    def learn(log_probs: np.ndarray) -> Combination:
        max_steps = int(np.clip(_LEARNING_CELLS / log_probs.size, 20, 500))
        return Combination(learn_mixture(log_probs, concentration, _TOLERANCE, max_steps).weights)

    return learn


def _trees(members: Members) -> list[Combination]:
    """Return products of two and four mixtures, and of the mixtures of several networks."""
    n_members = len(members)
    groupings = [np.arange(n_members) * n // n_members for n in (2, 4) if n < n_members]
    if len(members.models) > 1:
        groupings.append(members.network_of)
    weights = np.full(n_members, 1 / n_members)
    return [Combination(weights, 0.0, branches) for branches in groupings]
