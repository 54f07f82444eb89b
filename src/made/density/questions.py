"""What a density can be asked, beside the probability of whole rows. Thin: `queries` does it.

Knows frames in and out, and what a user's words mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from made.density.over import (
    MAX_DRAWS,
    TOLERANCE,
    Over,
    check_draws,
    check_method,
    check_tolerance,
    evidence_of,
)
from made.ensemble import Ensemble
from made.errors import OptionError, QuestionError
from made.modelfile import Fitted
from made.queries.asking import conditional_of, conditional_of_rows
from made.queries.conditional import Conditional
from made.queries.events import Event, event_of, place_of
from made.queries.probability import Answer, Method, order_columns, probability
from made.queries.scoring import log_prob_given, order_disagreement
from made.table import read_table, values_of, values_of_some
from made.uniforms import check_seed


class Questions:
    """Conditionals, marginals, events, imputation, explanations: see `made.Density`."""

    _fitted: Fitted

    def over(
        self,
        columns: Sequence[str],
        *,
        orderings: int | None = None,
        ensemble: str | None = None,
    ) -> Over:
        """Return the joint density of some columns, of which everything can be asked.

        One ensemble with these columns first in all orderings answers; see `Over`.

        Parameters
        ----------
        columns : sequence of str
        orderings : int, optional
            Ask so many members of a mixture alone, those of the largest weights: faster.
        ensemble : {"mixture"}, optional
            Ask the mixture of the members, where the model is another combination of them.

        Examples
        --------
        >>> import numpy as np, made
        >>> density = made.fit(np.array([[0, 1], [1, 0]] * 50), hidden=(8,), max_epochs=3)
        >>> q = density.over(["x0", "x1"], ensemble="mixture")
        >>> p_and, p_a = q.probability("x0 == 1 and x1 == 1"), q.probability("x0 == 1")
        >>> p_and.value <= p_a.value
        True
        """
        if isinstance(columns, str):
            columns = [columns]
        return Over(self._asked(ensemble), self._fitted.schema, columns, orderings)

    def probability(
        self,
        event: str,
        given: str | Mapping[str, Any] | None = None,
        *,
        tolerance: float = TOLERANCE,
        max_draws: int = MAX_DRAWS,
        seed: int = 0,
        orderings: int | None = None,
        ensemble: str | None = None,
        method: str = "auto",
    ) -> Answer:
        """Return P(event | given).

        Exact by summation where the columns of the question have few cells, else estimated by
        progressive sampling (Yang et al., "Deep unsupervised cardinality estimation", 2019). The
        columns of the question come first in the orderings of the ensemble that is asked: answers
        to questions about other columns need not agree with it to the last digit (`over`).

        Parameters
        ----------
        event : str
            Such as ``"age < 30 and income == '>50K'"``: comparisons, ranges ``20 <= age < 30``,
            ``in [...]``, ``is missing``, ``not``, ``and``, ``or``; names that are no words stand in
            backticks. A comparison is false of a missing cell, ``!=`` and ``not`` are true.
        given : str or mapping, optional
            Evidence: another event, or values by column (None: the cell is missing).
        tolerance : float
            Draws end when the standard error is at most this share of the value.
        max_draws : int
            Or when there are so many.
        seed : int
        orderings : int, optional
            Ask so many members of a mixture alone, those of the largest weights: faster.
        ensemble : {"mixture"}, optional
        method : {"auto", "orderings", "particles"}
            Put the columns first, or keep the orderings of training and weigh draws; "auto" takes
            what was better on validation rows.

        Returns
        -------
        Answer
            ``.value``, ``.standard_error`` (0 where exact), ``.exact``, ``.method``.

        Raises
        ------
        QuestionError
            If the event is malformed, unknown columns or levels are named, or the evidence has
            probability zero.

        Examples
        --------
        >>> import numpy as np, made
        >>> density = made.fit(np.array([[0, 1], [1, 0]] * 50), hidden=(8,), max_epochs=3)
        >>> round(density.probability("x0 == 1 or x0 == 0").value, 6)
        1.0
        """
        schema = self._fitted.schema
        asked, known = event_of(event, schema), evidence_of(given, schema)
        source, way = self._asked(ensemble).heaviest(orderings), self._method(method)
        tiers = order_columns(schema.columns, asked, known)
        first = source.first(*tiers, as_trained=way == "particles")
        return probability(
            first, asked, known, tolerance=check_tolerance(tolerance),
            max_draws=check_draws(max_draws), seed=check_seed(seed), method=way,
        )  # fmt: skip

    def count(
        self,
        event: str,
        given: str | Mapping[str, Any] | None = None,
        *,
        rows: int | None = None,
        **options: Any,
    ) -> Answer:
        """Return how many of ``rows`` rows an event is expected to hold in.

        Parameters
        ----------
        event, given
            As in `probability`, whose other options are taken too.
        rows : int, optional
            By default those that the model was fitted to, validation rows among them.
        """
        record = self._fitted.record
        n_rows = record.n_train_rows + record.n_validation_rows if rows is None else rows
        if isinstance(n_rows, bool) or not isinstance(n_rows, (int, np.integer)) or n_rows < 0:
            raise OptionError(f"rows must be a whole number of at least 0; got {rows!r}.")
        return self.probability(event, given, **options).times(float(n_rows))

    def conditional(
        self,
        column: str,
        given: Any = None,
        *,
        n_draws: int = 4096,
        seed: int = 0,
        ensemble: str | None = None,
        method: str = "auto",
    ) -> Conditional:
        """Return the distribution of one column given evidence, itself.

        Parameters
        ----------
        column : str
        given : str, mapping or frame, optional
            An event, values by column, or a frame of such values: then the answer has a row for
            each of its rows. A missing cell there is evidence, of an outcome; leave out what is
            unknown.
        n_draws : int
            Draws, where the evidence has too many cells to be summed over.
        seed : int
        ensemble : {"mixture"}, optional
        method : {"auto", "orderings", "particles"}

        Returns
        -------
        Conditional
            ``.probabilities`` of levels; ``.mean``, ``.quantile(p)``, ``.cdf(x)``, ``.interval(p)``
            of numbers; ``.mode``, ``.log_prob(x)``, ``.missing``, ``.sample(n)``.

        Examples
        --------
        >>> import numpy as np, made
        >>> bits = np.array([[0, 1], [1, 0]] * 50)
        >>> density = made.fit(bits, hidden=(8,), max_epochs=3, questions=True)
        >>> one = density.conditional("x1", given={"x0": 1})
        >>> round(sum(one.probabilities.values()), 6)
        1.0
        """
        schema, source = self._fitted.schema, self._asked(ensemble)
        place = place_of(column, schema)
        if given is None or isinstance(given, (str, Mapping)):
            return conditional_of(
                source, place, evidence_of(given, schema), n_draws=check_draws(n_draws, "n_draws"),
                seed=check_seed(seed), method=self._method(method),
            )  # fmt: skip
        table = read_table(given)
        columns = [d for d, name in enumerate(schema.names) if name in (table.names or [])]
        unknown = [name for name in table.names or [] if name not in schema.names]
        if unknown:
            place_of(unknown[0], schema)
        if place in columns or not columns:
            raise QuestionError(
                f"The evidence must have columns of the model, by name, and not {column!r} itself."
            )
        if not source.combination.is_mixture:
            raise OptionError(
                f"Many rows of evidence are answered by a mixture, and this is a "
                f'{source.combination.name}. Pass ensemble="mixture", or one row as a mapping.'
            )
        if self._method(method) == "particles":
            raise OptionError(
                "This model was trained on a fixed list of orderings, and answers better by "
                'weighing draws: for one row of evidence. Pass method="orderings", or fit with '
                "questions=True."
            )
        values = values_of_some(table, schema, columns)
        self._check_missing(values, columns)
        return conditional_of_rows(source, place, values, columns)

    def order_disagreement(self, rows: Any, columns: Sequence[str]) -> float:
        """Return how far log p of rows moves when ``columns`` come first: rms, in nats a row.

        One network serves all orderings; what it does not say alike is what answers to different
        questions can differ by.

        Parameters
        ----------
        rows : array, frame or path
        columns : sequence of str
        """
        schema = self._fitted.schema
        columns = [columns] if isinstance(columns, str) else columns
        places = [place_of(name, schema) for name in columns]
        values = torch.as_tensor(values_of(read_table(rows), schema, "rare"))
        return order_disagreement(self._fitted.ensemble, values, places)

    def _log_prob_given(
        self, asked: Ensemble, values: torch.Tensor, given: Sequence[str], progress: Any
    ) -> np.ndarray:
        if isinstance(given, str):
            given = [given]
        places = list(dict.fromkeys(place_of(name, self._fitted.schema) for name in given))
        return log_prob_given(asked, values, places, progress)

    def _evidence(self, given: Any) -> Event:
        return evidence_of(given, self._fitted.schema)

    def _asked(self, ensemble: str | None) -> Ensemble:
        """Return the ensemble that is asked: the model's own, or the mixture of its members."""
        if ensemble not in (None, "mixture"):
            raise OptionError(f'ensemble must be "mixture" or left out; got {ensemble!r}.')
        own = self._fitted.ensemble
        if ensemble is None or own.combination.is_mixture:
            return own
        return Ensemble(own.members, own.combination.mixture())

    def _method(self, method: str) -> Method:
        """Return how questions are answered; "auto" is what was better on validation rows."""
        if check_method(method) == "auto":
            checks = [record.order_check for record in self._fitted.records]
            known = [check.better for check in checks if check is not None]
            return "particles" if "particles" in known else "orderings"
        return "particles" if method == "particles" else "orderings"

    def _need_mixture(self, source: Ensemble, what: str) -> None:
        if not source.combination.is_mixture:
            raise OptionError(
                f"{what} a mixture, and the members of this model form a "
                f'{source.combination.name}. Pass ensemble="mixture" (--ensemble mixture), or fit '
                "with questions=True."
            )

    def _check_missing(self, values: np.ndarray, columns: Sequence[int]) -> None:
        for d in columns:
            column = self._fitted.schema.columns[d]
            if not column.missing and np.isnan(values[:, d]).any():
                raise QuestionError(
                    f"Column {column.name!r} is missing at row "
                    f"{int(np.argmax(np.isnan(values[:, d])))}, and had no missing cell in fit. "
                    "Leave the column out of the question."
                )
