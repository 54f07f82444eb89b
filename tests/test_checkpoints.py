"""A checkpoint that cannot be used is refused, with the reason and the remedy."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pyarrow
import pytest
import safetensors.torch
import torch

import made
from made.errors import CheckpointError, MadeNotice, OptionError, OutputError
from test_resume import BITS, OPTIONS, fit_until, outcome

CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"learning_rate": 0.01}, "learning_rate was 0.02 and is now 0.01"),
    ({"seed": 1}, "seed was 0 and is now 1; the training rows are others; the validation rows"),
    ({"hidden": (9,)}, "hidden was [8] and is now [9]"),
    ({"dropout": 0.1, "members": 3}, "dropout was 0.5 and is now 0.1; members was 2 and is now 3"),
    ({"orderings": 4}, "n_orderings was None and is now 4"),
    ({"train": 1 - BITS}, "the training rows are others; the validation rows are others"),
    ({"valid": BITS[:20]}, "the training rows are others; the validation rows are others"),
    (
        {"train": {"abcdef"[d]: BITS[:, d] for d in range(6)}},
        "run: the schema is another. Use the same data and options, or delete it",
    ),
]


@pytest.mark.parametrize(("change", "message"), CHANGES)
def test_a_checkpoint_of_another_run_is_refused(
    change: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = tmp_path / "run"
    fit_until(monkeypatch, 2, checkpoint, **OPTIONS)
    before = checkpoint.read_bytes()
    options = OPTIONS | change
    train = options.pop("train", BITS)
    if isinstance(train, dict):
        train = pyarrow.table(train)
    with pytest.raises(CheckpointError) as caught:
        made.fit(train, checkpoint=checkpoint, resume=True, **options)
    assert str(caught.value).startswith(f"{checkpoint} belongs to another run: ")
    assert message in str(caught.value)
    assert checkpoint.read_bytes() == before


def damaged(whole: bytes) -> dict[str, bytes]:
    length = int.from_bytes(whole[:8], "little")
    metadata = json.loads(whole[8 : 8 + length])["__metadata__"]
    content = json.loads(metadata["made"])
    other = safetensors.torch.save({"x": torch.zeros(2)}, {"made": json.dumps(content)})

    def with_content(**changes: Any) -> bytes:
        return safetensors.torch.save({}, {"made": json.dumps(content | changes)})

    return {
        "empty": b"",
        "cut in the header": whole[:50],
        "cut in the tensors": whole[:-1],
        "longer": whole + b"x",
        "text": b"not a checkpoint at all",
        "no metadata": safetensors.torch.save({"x": torch.zeros(2)}),
        "not JSON": safetensors.torch.save({}, {"made": "{"}),
        "another format": with_content(format="made checkpoint 0"),
        "no position": with_content(position=None),
        "half a position": with_content(position={"step": 3}),
        "no such phase": with_content(position=content["position"] | {"phase": "late"}),
        "no run": with_content(run="yes"),
        "other tensors": other,
    }


EXAMPLE = safetensors.torch.save({}, {"made": '{"position": {}}'})


@pytest.mark.parametrize("kind", damaged(EXAMPLE))
def test_a_damaged_checkpoint_is_an_error(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = tmp_path / "run"
    fit_until(monkeypatch, 2, checkpoint, **OPTIONS)
    checkpoint.write_bytes(damaged(checkpoint.read_bytes())[kind])
    with pytest.raises(CheckpointError, match="checkpoint") as caught:
        made.fit(BITS, checkpoint=checkpoint, resume=True, **OPTIONS)
    if kind not in ("another format", "other tensors", "no position", "half a position",
                    "no such phase"):  # fmt: skip
        assert str(caught.value).startswith(f"{checkpoint} is not a checkpoint that can be read (")
        assert str(caught.value).endswith("). Delete it to start anew.")


def test_a_checkpoint_in_the_way_is_refused_before_anything_else(tmp_path: Path) -> None:
    checkpoint = tmp_path / "run"
    checkpoint.write_bytes(b"")
    with pytest.raises(OptionError) as caught:
        made.fit(tmp_path / "no such file.npy", checkpoint=checkpoint, **OPTIONS)
    assert str(caught.value) == (
        f"{checkpoint} holds a run that was interrupted. Go on with --resume (resume=True), or "
        "delete it to start anew."
    )


def test_nothing_to_resume_is_a_notice(tmp_path: Path) -> None:
    checkpoint = tmp_path / "run"
    with pytest.warns(MadeNotice) as notices:
        density = made.fit(BITS, checkpoint=checkpoint, resume=True, **OPTIONS)
    assert [str(notice.message) for notice in notices] == [
        f"There is no {checkpoint} to resume: training starts from the beginning."
    ]
    assert outcome(density) == outcome(made.fit(BITS, **OPTIONS))
    with pytest.raises(OptionError, match=r"resume=True needs checkpoint=\.\.\."):
        made.fit(BITS, resume=True, **OPTIONS)


def test_a_write_that_fails_leaves_the_last_whole_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = tmp_path / "run"
    fit_until(monkeypatch, 7, checkpoint, **OPTIONS)
    before = checkpoint.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(OutputError, match="No space left"):
            made.fit(BITS, checkpoint=checkpoint, resume=True, checkpoint_every=0, **OPTIONS)
    assert checkpoint.read_bytes() == before
    assert list(tmp_path.iterdir()) == [checkpoint]
    resumed = made.fit(BITS, checkpoint=checkpoint, resume=True, **OPTIONS)
    assert outcome(resumed) == outcome(made.fit(BITS, **OPTIONS))
