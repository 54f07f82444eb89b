"""Which draws are meant: of a whole ensemble, given values, given an event; exact or annealed.

Knows ensembles and events; knows nothing of frames.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from made.ensemble import Certification, Ensemble, given
from made.errors import OptionError
from made.queries.drawing import draw_given
from made.queries.events import Event, values_of_event

# Draws by which the acceptance of evidence is judged, below power 1.
_CERTIFYING_DRAWS = 20_000


def sampler(ensemble: Ensemble, method: str, evidence: Event) -> Callable[..., np.ndarray]:
    """Return a function of (n_rows, seed, first_row=, progress=) that draws rows.

    Raises
    ------
    OptionError
        If there is no such method, or not for this evidence.
    QuestionError
        If the evidence is impossible.
    """
    if method not in ("exact", "annealed"):
        raise OptionError(f'method must be "exact" or "annealed", got {method!r}.')
    source = ensemble
    if evidence is not True:
        known = values_of_event(evidence)
        if known is None and method == "annealed":
            raise OptionError("Annealed draws take values as evidence, column by column.")
        if known is None:
            return partial(draw_given, ensemble, evidence)
        source = given(ensemble, known)
        if not source.combination.is_mixture:
            # Exact draws need to know how many candidates are taken.
            source.certify(Certification(max_draws=_CERTIFYING_DRAWS))
    return source.sample if method == "exact" else source.sample_annealed
