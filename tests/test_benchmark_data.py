"""The data of benchmarks: known by its contents in any order and layout, or refused by name."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from made.benchmark.data import LoadedSet, contents_hash, load_set
from made.benchmark.suites import SPLITS, SUITES, Split, Suite, find_sets, find_suite, published
from made.errors import DataError, OptionError
from tiny_suites import SETS, SIZES, arrays_of, tiny_suite, write_data


@pytest.fixture
def suite() -> Suite:
    return tiny_suite()


def load(suite: Suite, folder: Path, name: str = "first") -> LoadedSet:
    return load_set(suite, suite.sets[name], folder)


def write_text(folder: Path, name: str, between: str, pattern: str) -> Path:
    for split, rows in arrays_of(name).items():
        path = folder / pattern.format(name=name, split=split)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(between.join(map(str, row)) + "\n" for row in rows.tolist()))
    return folder


def test_the_hash_ignores_the_order_of_rows_and_nothing_else() -> None:
    rows = arrays_of("first")["train"]
    shuffled = np.random.default_rng(1).permutation(rows)
    assert (shuffled != rows).any()
    assert contents_hash(shuffled) == contents_hash(rows)
    assert contents_hash(rows.astype(np.float64)) == contents_hash(rows)
    flipped = rows.copy()
    flipped[7, 3] ^= 1
    assert contents_hash(flipped) != contents_hash(rows)
    assert contents_hash(rows[:, [1, 0, 2, 3, 4]]) != contents_hash(rows)
    assert contents_hash(np.concatenate([rows, rows[:1]])) != contents_hash(rows)
    # Columns of zeros at the end vanish in packing; the shape tells.
    assert contents_hash(np.pad(rows, ((0, 0), (0, 2)))) != contents_hash(rows)


def test_arrays_are_read_and_the_test_rows_are_not_shown(suite: Suite, tmp_path: Path) -> None:
    loaded = load(suite, write_data(tmp_path))
    assert (loaded.train == arrays_of("first")["train"]).all()
    assert loaded.rows == SIZES
    assert repr(loaded.test) == "SealedRows(50 x 5)"
    assert loaded.hashes == {s: suite.sets["first"].splits[s].sha256 for s in SPLITS}


@pytest.mark.parametrize(
    ("between", "pattern"),
    [
        (",", "datasets/{name}/{name}.{split}.data"),
        (",", "{name}/{name}.{split}.data"),
        (" ", "{name}_{split}.amat"),
        (" ", "tiny/{name}_{split}.amat"),
    ],
)
def test_text_reads_as_the_arrays_do(
    suite: Suite, tmp_path: Path, between: str, pattern: str
) -> None:
    text = load(suite, write_text(tmp_path / "text", "first", between, pattern))
    arrays = load(suite, write_data(tmp_path / "arrays"))
    assert (text.train == arrays.train).all()
    assert (text.valid == arrays.valid).all()
    assert text.hashes == arrays.hashes


def test_training_rows_may_be_called_ts(suite: Suite, tmp_path: Path) -> None:
    pattern = "datasets/{name}/{name}.{split}.data"
    folder = write_text(tmp_path, "first", ",", pattern)
    (folder / "datasets/first/first.train.data").rename(folder / "datasets/first/first.ts.data")
    assert load(suite, folder).rows == SIZES


def test_names_of_the_made_repository_are_read(suite: Suite, tmp_path: Path) -> None:
    arrays = {f"{split}_data": rows for split, rows in arrays_of("first").items()}
    (tmp_path / "datasets").mkdir()
    np.savez(tmp_path / "datasets" / "first.npz", allow_pickle=False, **arrays)
    assert load(suite, tmp_path).rows == SIZES


def test_a_missing_file_is_named(suite: Suite, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no data of first in .*tiny/first\.npz.*docs/data\.md"):
        load(suite, tmp_path)
    with pytest.raises(DataError, match="There is no folder"):
        load(suite, tmp_path / "nowhere")
    folder = write_text(tmp_path, "first", ",", "datasets/{name}/{name}.{split}.data")
    (folder / "datasets/first/first.valid.data").unlink()
    with pytest.raises(DataError, match=r"The valid rows of first are missing.*first\.valid\.data"):
        load(suite, folder)


@pytest.mark.parametrize("split", SPLITS)
def test_one_flipped_bit_is_noticed(suite: Suite, tmp_path: Path, split: str) -> None:
    folder = write_data(tmp_path)
    arrays = arrays_of("first")
    arrays[split][0, 0] ^= 1
    np.savez(folder / "tiny" / "first.npz", allow_pickle=False, **arrays)
    with pytest.raises(DataError, match=rf"first\.npz is not.*checksum of its {split} rows.*docs"):
        load(suite, folder)


def test_other_shapes_are_told(suite: Suite, tmp_path: Path) -> None:
    folder = write_data(tmp_path)
    arrays = arrays_of("first")
    np.savez(
        folder / "tiny" / "first.npz",
        allow_pickle=False,
        **(arrays | {"train": arrays["train"][:-1]}),
    )
    with pytest.raises(DataError, match="its train rows are 119 x 5; expected were 120 x 5"):
        load(suite, folder)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"not a zip", "cannot be read"),
        (b"", "cannot be read"),
    ],
)
def test_damaged_files_are_named(suite: Suite, tmp_path: Path, content: bytes, said: str) -> None:
    folder = write_data(tmp_path)
    (folder / "tiny" / "first.npz").write_bytes(content)
    with pytest.raises(DataError, match=rf"first\.npz {said}.*docs/data\.md"):
        load(suite, folder)


def test_arrays_of_other_values_and_names_are_refused(suite: Suite, tmp_path: Path) -> None:
    folder = write_data(tmp_path)
    arrays = arrays_of("first")
    np.savez(
        folder / "tiny" / "first.npz",
        allow_pickle=False,
        **(arrays | {"valid": arrays["valid"] * 2}),
    )
    with pytest.raises(DataError, match=r"'valid' of .* is not a table of 0 and 1"):
        load(suite, folder)
    del arrays["test"]
    np.savez(folder / "tiny" / "first.npz", allow_pickle=False, **arrays)
    with pytest.raises(DataError, match="holds no array 'test'"):
        load(suite, folder)


@pytest.mark.parametrize("text", ["0,1,1,0,1\n0,1\n", "0,1,2,0,1\n", "MATLAB 5.0\n", "\n\n"])
def test_text_of_something_else_is_refused(suite: Suite, tmp_path: Path, text: str) -> None:
    folder = write_text(tmp_path, "first", ",", "datasets/{name}/{name}.{split}.data")
    (folder / "datasets/first/first.test.data").write_text(text)
    with pytest.raises(DataError, match=r"first\.test\.data is not a text of rows of 0 and 1"):
        load(suite, folder)


def test_where_the_border_is_not_known_the_union_counts(suite: Suite, tmp_path: Path) -> None:
    arrays = arrays_of("first")
    both = np.concatenate([arrays["train"], arrays["valid"]])
    together = Split(len(both), contents_hash(both))
    bordered = replace(suite.sets["first"], together=together)
    other = {"train": both[::-1][:120], "valid": both[::-1][120:], "test": arrays["test"]}
    (tmp_path / "tiny").mkdir()
    np.savez(tmp_path / "tiny" / "first.npz", allow_pickle=False, **other)
    assert load_set(suite, bordered, tmp_path).hashes["train"] == contents_hash(other["train"])
    with pytest.raises(DataError, match="checksum of its train rows"):
        load(suite, tmp_path)
    other["train"] = other["train"] ^ 1
    np.savez(tmp_path / "tiny" / "first.npz", allow_pickle=False, **other)
    with pytest.raises(DataError, match="train and valid rows together"):
        load_set(suite, bordered, tmp_path)


def test_suites_and_sets_are_found_or_listed() -> None:
    assert [len(suite.sets) for suite in SUITES.values()] == [8, 20, 1]
    with pytest.raises(OptionError, match=r"no suite 'mode'\. Did you mean 'made'.*made, debd"):
        find_suite("mode")
    with pytest.raises(OptionError, match=r"no set 'dan'\. Did you mean 'dna'.*adult, connect4"):
        find_sets(find_suite("made"), ["dan"])
    assert [one.name for one in find_sets(tiny_suite())] == list(SETS)


def test_published_figures_are_of_the_sets() -> None:
    known = published()
    assert set(known["made"]["sets"]) == set(SUITES["made"].sets)
    assert all(len(row["nll"]) == 8 for row in known["made"]["rows"])
    assert list(known["debd"]["rows"]) == list(SUITES["debd"].sets)
    assert known["mnist"]["set"] in SUITES["mnist"].sets


def test_the_real_sets_are_the_published_ones() -> None:
    places = [Path(os.environ["MADE_DATA"])] if "MADE_DATA" in os.environ else []
    places.append(Path(__file__).parents[2] / "shared" / "data")
    folder = next((place for place in places if (place / "made").is_dir()), None)
    if folder is None:
        pytest.skip("the data of the benchmarks is not here")
    for suite, name in (("made", "nips"), ("made", "web"), ("debd", "dna"), ("debd", "nltcs")):
        loaded = load(SUITES[suite], folder, name)
        splits = SUITES[suite].sets[name].splits
        assert loaded.rows == {split: splits[split].rows for split in SPLITS}
