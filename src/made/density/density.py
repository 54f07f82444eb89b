"""`Density`, what a user holds: fit, load, score, sample, combine, save. Thin: work is done below.

Every probability that leaves this module is in nats (log), and exact or a bound that says so.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from made import modelfile
from made.certificate import Certificate
from made.combining import Verification, combine_again, verify
from made.density.completions import Completions
from made.density.sampling import sampler
from made.ensemble import Certification
from made.ensemble.ensemble import Normalizer
from made.errors import OptionError
from made.fitting import find_device, warn_if_trained_on
from made.modelfile import CombinationRecord, FitRecord, Fitted
from made.progress import Progress
from made.table import (
    Schema,
    frame_of,
    named_columns,
    read_table,
    to_container,
    values_of,
)
from made.training.options import parse_duration
from made.uniforms import check_n_rows, check_seed


class Density(Completions):
    """An exact, normalised joint density over the columns of a table.

    p(x) = ( sum_k w_k q_k(x)^a )^(1/a) / Z with members q_k(x) = prod_t p_k(x_[t] | x_[1..t-1]),
    masked autoregressive models (Germain et al. 2015; Uria et al. 2014 for the ensemble over
    orderings). Power a = 1 is their mixture, with Z = 1; a = 0 their product.

    Made by `made.fit` or `made.load`, not directly.

    Attributes
    ----------
    schema : Schema
        The columns.
    record : FitRecord
        How the model came about: options, validation nats, history.
    """

    def __init__(self, fitted: Fitted) -> None:
        self._fitted = fitted

    @property
    def schema(self) -> Schema:
        return self._fitted.schema

    @property
    def record(self) -> FitRecord:
        return self._fitted.record

    @property
    def records(self) -> tuple[FitRecord, ...]:
        """How each network came about, where there are several."""
        return self._fitted.records

    @property
    def columns(self) -> list[str]:
        """Names of the columns, in the order of the training table."""
        return self.schema.names

    @property
    def n_members(self) -> int:
        return self._fitted.ensemble.n_members

    @property
    def weights(self) -> np.ndarray:
        """Weights of the members, shape ``(n_members,)``, summing to 1."""
        return self._fitted.ensemble.weights.copy()

    @property
    def power(self) -> float:
        """1 for a mixture of the members, 0 for their product, or between."""
        return self._fitted.ensemble.power

    @property
    def combination(self) -> str:
        """How the members are combined, in words."""
        return self._fitted.ensemble.combination.name

    @property
    def combined(self) -> CombinationRecord:
        """What the combination was compared with when it was chosen."""
        return self._fitted.combined

    @property
    def certificate(self) -> Certificate:
        """What is known of the normaliser: log Z, its limits, their level, the draws."""
        return self._fitted.ensemble.certificate

    @property
    def log_normalizer(self) -> float:
        """log Z: 0 for a mixture, else the value or estimate of the certificate, in nats."""
        return self.certificate.log_normalizer

    @property
    def acceptance(self) -> float:
        """The share of candidates that exact sampling keeps: Z; 1 for a mixture."""
        return self._fitted.ensemble.acceptance

    @property
    def is_exact(self) -> bool:
        """Whether `log_prob` is exact, or a lower bound at the level of `certificate`."""
        return self._fitted.ensemble.is_exact

    def to(self, device: str) -> Density:
        """Move the model to a device ("auto", "cpu", "cuda", ...) and return the density."""
        place = find_device(device)
        for model in self._fitted.ensemble.members.models:
            model.to(place)
        return self

    def __repr__(self) -> str:
        validation = self.combined.validation_log_prob
        nats = "" if validation is None else f", validation {validation:.3f} nats a row"
        return (
            f"Density({self.schema.n_columns} columns, {self.combination} of {self.n_members} "
            f"members{nats})"
        )

    def log_prob(
        self,
        data: Any,
        *,
        given: Sequence[str] = (),
        missing: str = "model",
        unseen: str = "error",
        normalizer: Normalizer = "upper",
        ensemble: str | None = None,
        split: str | None = None,
        progress: Progress | None = None,
    ) -> np.ndarray:
        """Return log p(x) of each row, or log p(rest | the columns ``given``), in nats.

        A density in the units of the columns where these are continuous, a mass where they are
        not. Exact if `is_exact`. Else (a power below 1 whose normaliser is estimated) a lower
        bound, log M(x) - log Z_upper, that holds for all rows together at the level of
        `certificate`.

        Parameters
        ----------
        data : array, tensor, frame or path, (n_rows, n_columns)
            Columns of a frame are matched by name, those of an array by position.
        given : sequence of str
            Columns whose cells are evidence. They come first in the orderings of all members, so
            that log p(x) - log p(x_given) is exact within that ensemble.
        missing : {"model", "ignore"}
            A missing cell is an outcome like any other, or unknown and left out: then the result
            is log p of the cells that are there. That takes a mixture.
        unseen : {"error", "rare"}
            What becomes of a category that was not seen in fit: an error, or a score by the mass
            that is kept for such categories.
        normalizer : {"upper", "estimate"}
            Divide by the upper limit of Z, or by its estimate.
        ensemble : {"mixture"}, optional
            Ask the mixture of the members, where the model is another combination of them.
        split : str, optional
            The array to take from an .npz file.
        progress : Progress, optional

        Returns
        -------
        ndarray of float64, shape (n_rows,)
            -inf for a row that cannot be: a number beyond the limits of its column.

        Raises
        ------
        DataError
            If the columns do not match the model's or a cell has a value it cannot have.

        Examples
        --------
        >>> import numpy as np, made
        >>> bits = np.array([[0, 1], [1, 0]] * 50)
        >>> density = made.fit(bits, hidden=(8,), max_epochs=3)
        >>> every_row = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
        >>> round(float(np.exp(density.log_prob(every_row)).sum()), 5)
        1.0
        """
        asked = self._asked(ensemble)
        if missing not in ("model", "ignore"):
            raise OptionError(f'missing must be "model" or "ignore", got {missing!r}.')
        if given:
            if missing == "ignore":
                raise OptionError('given= and missing="ignore" do not go together: leave one out.')
            return self._log_prob_given(asked, self._values(data, split, unseen), given, progress)
        if missing == "model":
            return asked.log_prob(self._values(data, split, unseen), progress, normalizer)
        values = self._values(data, split, unseen, unknown=True).to(torch.float64)
        is_observed = ~np.isnan(values.numpy())
        # What stands in a hole is not looked at; it has to be something that can be encoded.
        filled = torch.where(torch.isnan(values), asked.members.models[0].any_row(), values)
        return asked.log_prob_of_observed(filled, is_observed, progress)

    def log_conditionals(
        self,
        data: Any,
        *,
        unseen: str = "error",
        split: str | None = None,
    ) -> Any:
        """Return how likely each cell is after the ones before it, in nats: which is the odd one?

        sum_k w_k log q_k(x_d | columns before d in ordering k). The terms of a row add up to its
        mean log-probability under the members, which is at most `log_prob` of their mixture.

        Parameters
        ----------
        data : array, tensor, frame or path, (n_rows, n_columns)
        unseen : {"error", "rare"}
            See `log_prob`.
        split : str, optional

        Returns
        -------
        array or frame of float64, (n_rows, n_columns)
            A frame of the kind that came in, with its index, where the data has names.

        Examples
        --------
        >>> import numpy as np, made
        >>> bits = np.array([[0, 1], [1, 0]] * 50)
        >>> density = made.fit(bits, hidden=(8,), max_epochs=3, combine="mixture")
        >>> terms = density.log_conditionals(bits)
        >>> bool((terms.sum(axis=1) <= density.log_prob(bits) + 1e-5).all())
        True
        """
        table = read_table(data, split=split)
        values = torch.as_tensor(values_of(table, self.schema, unseen))
        ensemble = self._fitted.ensemble
        terms = ensemble.members.mean_log_conditionals(values, ensemble.weights)
        if table.names is None:
            return terms
        return frame_of(dict(zip(self.columns, terms.T, strict=True)), table.container, table.index)

    def member_log_probs(
        self, data: Any, *, unseen: str = "error", split: str | None = None
    ) -> np.ndarray:
        """Return log q_k(x) in nats of each row under each member, ``(n_rows, n_members)``."""
        return self._fitted.ensemble.member_log_probs(self._values(data, split, unseen))

    def sample(
        self,
        n_rows: int,
        *,
        given: str | Mapping[str, Any] | None = None,
        seed: int = 0,
        method: str = "exact",
        ensemble: str | None = None,
        progress: Progress | None = None,
    ) -> Any:
        """Draw rows from the density, or from p(x | given).

        Row r of a seed is the same however many rows are drawn.

        Parameters
        ----------
        n_rows : int
            At least 0.
        given : str or mapping, optional
            Evidence: an event such as ``"age < 30 and sex == 'Female'"``, or values by column.
            Values cost nothing: they come first in the orderings of the members.
        seed : int
        method : {"exact", "annealed"}
            Below power 1, "exact" draws from the mixture and keeps a row with probability M / M_1:
            one in 1 / Z. Where that is too few, "annealed" draws are approximate.
        ensemble : {"mixture"}, optional
            Draw from the mixture of the members, where the model is another combination of them.

        Raises
        ------
        QuestionError
            If the evidence is impossible, or too rare to be drawn from.

        Returns
        -------
        array or frame, (n_rows, n_columns)
            Of the kind that the model was fitted to.

        Examples
        --------
        >>> import numpy as np, made
        >>> density = made.fit(np.array([[0, 1], [1, 0]] * 50), hidden=(8,), max_epochs=3)
        >>> density.sample(3, seed=1).shape
        (3, 2)
        """
        n_drawn = check_n_rows(n_rows)
        draw = sampler(self._asked(ensemble), method, self._evidence(given))
        return to_container(draw(n_drawn, check_seed(seed), progress=progress), self.schema)

    def sample_chunks(
        self,
        n_rows: int,
        *,
        given: str | Mapping[str, Any] | None = None,
        seed: int = 0,
        method: str = "exact",
        ensemble: str | None = None,
        chunk_rows: int = 65536,
    ) -> Iterator[dict[str, Any]]:
        """Draw the rows that `sample` draws, a chunk of named columns at a time.

        For more rows than memory holds. There is at least one chunk, though it may be empty.
        """
        n_drawn, checked = check_n_rows(n_rows), check_seed(seed)
        draw = sampler(self._asked(ensemble), method, self._evidence(given))
        for first in range(0, max(n_drawn, 1), chunk_rows):
            n_chunk = min(chunk_rows, n_drawn - first)
            values = draw(n_chunk, checked, first_row=first)
            yield named_columns(values, self.schema)

    def combine(
        self,
        valid: Any,
        method: str = "auto",
        *,
        members: int | None = None,
        width: float | None = None,
        level: float = 0.95,
        seed: int = 0,
        max_time: str | float | None = None,
        split: str | None = None,
        progress: Progress | None = None,
    ) -> Density:
        """Return a density of the same networks whose members are combined anew.

        Parameters
        ----------
        valid : array, tensor, frame or path
            Rows to choose by; not those of the training.
        method : {"auto", "mixture", "em", "product", "power=A"}
            "auto" keeps what scores best, or the uniform mixture where nothing is clearly better.
        members : int, optional
            Members of each network; more than it was saved with only if it was trained on all
            orderings.
        width : float, optional
            How narrow the interval of log Z shall be, in nats; by default a quarter of the
            standard error of the validation rows, at most .02.
        level : float
            Probability that the interval holds.
        seed : int
        max_time : seconds or text like "90s", optional
            After that the interval stays as wide as it is.

        Examples
        --------
        >>> import numpy as np, made
        >>> bits = np.array([[0, 1], [1, 0]] * 50)
        >>> density = made.fit(bits, hidden=(8,), max_epochs=3, combine="mixture")
        >>> density.combine(bits, "product").is_exact
        True
        """
        values = self._values(valid, split, "rare").numpy()
        warn_if_trained_on(self.record.options.get("training_rows_hash"), values)
        seconds = None if max_time is None else parse_duration(max_time)
        how = Certification(level=level, seed=check_seed(seed), max_seconds=seconds)
        return Density(combine_again(self._fitted, values, method, members, how, width, progress))

    def verify(
        self,
        *,
        seed: int = 1,
        width: float | None = None,
        max_time: str | float | None = None,
        progress: Progress | None = None,
    ) -> Verification:
        """Bound the normaliser once more by other draws, and say whether the two agree."""
        stored = self.certificate
        how = Certification(
            width=width or stored.width_asked,
            level=stored.level if stored.level < 1 else 0.95,
            seed=check_seed(seed),
            max_seconds=None if max_time is None else parse_duration(max_time),
        )
        return verify(self._fitted, how, progress)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to ``path``, whole or not at all. `made.load` reads it back.

        Raises
        ------
        OutputError
            If the path is a folder or cannot be written.
        """
        modelfile.save(self._fitted, path)

    def _values(
        self, data: Any, split: str | None, unseen: str = "error", *, unknown: bool = False
    ) -> torch.Tensor:
        table = read_table(data, split=split)
        return torch.as_tensor(values_of(table, self.schema, unseen, unknown=unknown))
