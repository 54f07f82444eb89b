"""`Over`: some columns of a density, first in all orderings, of which everything can be asked.

Also what a user's words for evidence and method mean. Thin: `queries` does the work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import numpy as np
import torch

from made.conditionals.region import Region
from made.ensemble import Ensemble
from made.errors import OptionError, QuestionError
from made.queries.events import Event, columns_of, event_of, event_of_cells, place_of
from made.queries.masses import Constraint, draw_particles, drawn_box, size_of, tiers_of
from made.queries.probability import Answer, Method, probability
from made.table import Schema, read_table, to_container, values_of_some
from made.uniforms import MEMBER_CHOICE, check_n_rows, check_seed, uniforms

# A question ends when its standard error is at most this share of its answer, or its draws do.
TOLERANCE, MAX_DRAWS = 0.02, 2**14


class Over:
    """The joint density of some columns, of one ensemble that has them first in all orderings.

    Every answer is one of the same joint, so that the rules of probability hold between them:
    P(A and B) <= P(A), P(A) + P(not A) = 1, P(A | B) P(B) = P(A and B). Answers of different
    ensembles (`Density.probability` makes one for each question) need not agree to the last digit.

    Made by `Density.over`.

    Attributes
    ----------
    columns : list of str
    """

    def __init__(
        self,
        ensemble: Ensemble,
        schema: Schema,
        columns: Sequence[str],
        orderings: int | None = None,
    ) -> None:
        places = [place_of(name, schema) for name in dict.fromkeys(columns)]
        if not places:
            raise OptionError("Name at least one column.")
        everything = Region.everything()
        sizes = {place: size_of(schema.columns[place], everything) for place in places}
        self._schema = schema
        self._ensemble = ensemble = ensemble.heaviest(orderings)
        self._places = places
        self._first = ensemble.first(*tiers_of(places, sizes))
        self.columns = [schema.names[place] for place in places]

    def log_prob(self, data: Any) -> np.ndarray:
        """Return the log-probability of these columns alone, in nats: the rest is not computed.

        Parameters
        ----------
        data : frame or path
            Other columns in it are not looked at.

        Returns
        -------
        ndarray of float64, shape (n_rows,)

        Raises
        ------
        OptionError
            Below power 1, where it would take a sum over all other columns.
        """
        if not self._ensemble.combination.is_mixture:
            raise OptionError(
                f"What a {self._ensemble.combination.name} says of some columns alone needs a sum "
                'over all others. Ask for an estimate by probability(), or with ensemble="mixture".'
            )
        values = values_of_some(read_table(data), self._schema, self._places)
        return self._first.log_prob(torch.as_tensor(values))

    def probability(
        self,
        event: str,
        given: str | Mapping[str, Any] | None = None,
        *,
        tolerance: float = TOLERANCE,
        max_draws: int = MAX_DRAWS,
        seed: int = 0,
    ) -> Answer:
        """Return P(event | given) of these columns; see `Density.probability`.

        Raises
        ------
        QuestionError
            If another column is asked for.
        """
        asked, known = event_of(event, self._schema), evidence_of(given, self._schema)
        for column in (*columns_of(asked), *columns_of(known)):
            if column not in self._places:
                raise QuestionError(
                    f"Column {self._schema.names[column]!r} is not among these: "
                    f"{', '.join(self.columns)}. Name it in over([...])."
                )
        return probability(
            self._first, asked, known, tolerance=check_tolerance(tolerance),
            max_draws=check_draws(max_draws), seed=check_seed(seed), method="orderings",
        )  # fmt: skip

    def sample(self, n_rows: int, *, seed: int = 0) -> Any:
        """Draw rows of these columns alone, as a frame of the kind that the model was fitted to.

        Raises
        ------
        OptionError
            Below power 1: draw whole rows, and take these columns.
        """
        if not self._ensemble.combination.is_mixture:
            raise OptionError("Below power 1 whole rows are drawn: sample(), then these columns.")
        key, n_rows = check_seed(seed), check_n_rows(n_rows)
        choice = uniforms(key, 0, n_rows, 1, MEMBER_CHOICE)[:, 0]
        drawn = uniforms(key, 0, n_rows, self._schema.n_columns)
        bounds = np.cumsum(self._first.group_weights)
        group_of = np.searchsorted(bounds[:-1] / bounds[-1], choice, side="right")
        box = drawn_box(self._schema.columns, self._places)
        values = np.full((n_rows, self._schema.n_columns), np.nan)
        for number, group in enumerate(self._first.groups):
            own = np.flatnonzero(group_of == number)
            if len(own):
                rows = draw_particles(group, Constraint(box), drawn[own], group.n_columns)
                values[own] = rows.values
        return to_container(values[:, self._places], some_columns(self._schema, self._places))

    def __repr__(self) -> str:
        return f"Over({', '.join(self.columns)})"


def some_columns(schema: Schema, places: Sequence[int]) -> Schema:
    """Return the schema of some columns alone."""
    columns = tuple(schema.columns[place] for place in places)
    return Schema(columns, schema.named, schema.container, (), schema.na)


def evidence_of(given: str | Mapping[str, Any] | None, schema: Schema) -> Event:
    """Return the event that evidence describes: a text, values by column, or nothing."""
    if given is None:
        return True
    if isinstance(given, str):
        return event_of(given, schema)
    if isinstance(given, Mapping):
        return event_of_cells(given, schema)
    raise QuestionError(
        "Evidence is a text such as \"sex == 'Female'\", or values by column such as "
        f"{{'sex': 'Female'}}; got {type(given).__name__}."
    )


def check_method(method: str) -> str:
    """Return the method, or raise `OptionError`."""
    if method not in ("auto", *get_args(Method)):
        raise OptionError(f'method must be "auto", "orderings" or "particles"; got {method!r}.')
    return method


def check_tolerance(tolerance: float) -> float:
    """Return a tolerance, or raise `OptionError`."""
    if isinstance(tolerance, bool) or not isinstance(tolerance, (int, float)) or not tolerance > 0:
        raise OptionError(
            f"tolerance must be a number above 0, the standard error as a share of the value; got "
            f"{tolerance!r}."
        )
    return float(tolerance)


def check_draws(n_draws: int, name: str = "max_draws") -> int:
    """Return a number of draws, or raise `OptionError`."""
    if isinstance(n_draws, bool) or not isinstance(n_draws, (int, np.integer)) or n_draws < 1:
        raise OptionError(f"{name} must be a whole number of at least 1; got {n_draws!r}.")
    return int(n_draws)
