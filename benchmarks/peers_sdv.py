"""Rows drawn by sdv's synthesizers, trained on a table: sdv needs an environment of its own.

    .venv-sdv/bin/python benchmarks/peers_sdv.py CTGAN TRAIN.parquet DRAWN.parquet --rows 1000

Numbers are numerical columns and all else is categorical, as told by the types of the frame; the
rest are sdv's defaults, but for CTGAN's epochs where its 300 would not fit into the time. What was
used is printed as JSON. Imports nothing of the benchmark.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sdv.metadata import Metadata
from sdv.single_table import CTGANSynthesizer, GaussianCopulaSynthesizer

DEFAULT_EPOCHS = 300
_TABLE = "table"


def metadata_of(frame: pd.DataFrame) -> Metadata:
    """Return what sdv needs to know of the columns."""
    columns = {
        name: {
            "sdtype": "numerical" if pd.api.types.is_numeric_dtype(frame[name]) else "categorical"
        }
        for name in frame
    }
    return Metadata.load_from_dict({"tables": {_TABLE: {"columns": columns}}})


def epochs_within(frame: pd.DataFrame, metadata: Metadata, seconds: float) -> int:
    """Return how many epochs of CTGAN fit into the processor time, by timing a few of them."""

    def cost(epochs: int) -> float:
        started = time.process_time()
        CTGANSynthesizer(metadata, epochs=epochs, enable_gpu=False).fit({_TABLE: frame})
        return time.process_time() - started

    # The first time pays for what is loaded once.
    cost(1)
    short, long = cost(1), cost(5)
    # What is there beside the epochs is part of ``long``, so an epoch costs a fraction of it.
    once = max((long - short) / 4, long / 50)
    return int(np.clip((seconds - short) / once, 1, DEFAULT_EPOCHS))


def synthesizer(name: str, frame: pd.DataFrame, seconds: float) -> tuple[Any, dict[str, Any]]:
    metadata = metadata_of(frame)
    if name == "GaussianCopula":
        return GaussianCopulaSynthesizer(metadata), {}
    epochs = epochs_within(frame, metadata, seconds)
    return CTGANSynthesizer(metadata, epochs=epochs, enable_gpu=False), {"epochs": epochs}


def main() -> None:
    command = argparse.ArgumentParser(description=__doc__)
    command.add_argument("name", choices=("GaussianCopula", "CTGAN"))
    command.add_argument("train", type=Path)
    command.add_argument("drawn", type=Path)
    command.add_argument("--rows", type=int, required=True)
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--threads", type=int, default=1)
    command.add_argument("--seconds", type=float, default=600.0, help="for training CTGAN")
    arguments = command.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    np.random.seed(arguments.seed)  # noqa: NPY002 (sdv draws from the global generator)
    frame = pd.read_parquet(arguments.train)
    model, chosen = synthesizer(arguments.name, frame, arguments.seconds)
    started = time.perf_counter()
    model.fit({_TABLE: frame})
    fitted = time.perf_counter()
    drawn = model.sample(arguments.rows)[_TABLE]
    about = {"fit_seconds": fitted - started, "sample_seconds": time.perf_counter() - fitted}
    drawn.to_parquet(arguments.drawn)
    print(json.dumps(about | {"chosen": chosen}))


if __name__ == "__main__":
    main()
