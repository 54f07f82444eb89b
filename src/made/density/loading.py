"""Densities from model files, and of several models: `load`, `pool`. Thin: work is done below."""

from __future__ import annotations

import os
from collections.abc import Sequence

from made import modelfile
from made.combining import pool as pool_fitted
from made.density.density import Density


def load(path: str | os.PathLike[str]) -> Density:
    """Read a model file that `Density.save` or ``made fit`` wrote.

    Raises
    ------
    ModelFileError
        If the file is no model, is damaged, or is of another format version.
    """
    return Density(modelfile.load(path))


def pool(densities: Sequence[Density]) -> Density:
    """Return one density of the members of several, fitted independently to one schema.

    It is their mixture, equally weighted; `Density.combine` finds better weights or powers.

    Raises
    ------
    OptionError
        If the columns differ.
    """
    return Density(pool_fitted([density._fitted for density in densities]))
