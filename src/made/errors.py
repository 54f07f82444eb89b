"""Every error that the library raises on purpose.

Each subclasses a builtin, so that callers who have never heard of this module can still
catch ``ValueError`` or ``OSError``. A message says what was expected, what came, where, and
what to do. This module knows no other.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MadeError(Exception):
    """Base of all errors below."""


class OptionError(MadeError, ValueError):
    """An option or argument has a value that cannot work."""


class DataError(MadeError, ValueError):
    """Rows that the library cannot read or the model cannot take."""


class QuestionError(MadeError, ValueError):
    """A question that is malformed, about what is unknown, or given the impossible."""


class ModelFileError(MadeError, ValueError):
    """A file that is not a model, is damaged, or was made by another format version."""


class OutputError(MadeError, OSError):
    """An output path that cannot be written."""


class NotAutoregressiveError(MadeError, ValueError):
    """A module in which some output sees itself or a later column."""


class UnsupportedLayerError(MadeError, TypeError):
    """A layer that mixes units, so that no mask on the weights can make it autoregressive."""


class CheckpointError(MadeError, ValueError):
    """A checkpoint that is damaged or belongs to another run."""


class DivergedError(MadeError, ArithmeticError):
    """Training lost all weights to infinities before a single good validation."""


class WeightsError(MadeError, ValueError):
    """Weights that are not finite: nothing can be drawn from them."""


class ResultsError(MadeError, ValueError):
    """Results of a benchmark that cannot be read, or test rows that stay sealed."""


class MadeNotice(UserWarning):
    """Something that a user should know of, though nothing is wrong."""


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Return a sentence that names the known word nearest to ``word``, or nothing.

    Examples
    --------
    >>> did_you_mean("incme", ["age", "income"])
    " Did you mean 'income'?"
    """
    near = difflib.get_close_matches(str(word), list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
