"""The store of samples: damaged files, several writers, and engines that repeat themselves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from campaigns import FACTS, PROBLEMS, Shuffling, Store, interrupted_after, same
from memory import counted

from boundary_bench.core.errors import EngineError, Interrupted, StoreError
from boundary_bench.core.parquet import content_sha256, read_table, read_verified, write_table
from boundary_bench.samples.store import SAMPLES
from boundary_bench.sampling.duplicates import Sequences, sequence_keys
from boundary_bench.sampling.engine import Responses, Work
from boundary_bench.sampling.torch.engine import TorchEngine
from boundary_bench.statistics.design import Design


def torn(block: Path) -> None:
    block.write_bytes(block.read_bytes()[:-100])


def altered(block: Path) -> None:
    """A verdict is another one; the file is whole and says what the right one says of itself."""
    table, facts = read_table(block)
    rows = table.to_pylist()
    rows[0]["verdict"] = "correct" if rows[0]["verdict"] == "wrong" else "wrong"
    metadata = {b"boundary_bench": json.dumps(facts).encode()}
    pq.write_table(pa.Table.from_pylist(rows, SAMPLES).replace_schema_metadata(metadata), block)


def forged(block: Path) -> None:
    """The facts are other ones."""
    table, facts = read_table(block)
    metadata = {b"boundary_bench": json.dumps(facts | {"note": "more"}).encode()}
    pq.write_table(table.replace_schema_metadata(metadata), block)


def unsigned(block: Path) -> None:
    """It says no checksum."""
    table, facts = read_table(block)
    del facts["sha256"]
    pq.write_table(table.replace_schema_metadata({b"boundary_bench": json.dumps(facts).encode()}), block)


def flipped(block: Path) -> None:
    """One bit in the middle of the responses."""
    column = pq.read_metadata(block).row_group(0).column(SAMPLES.names.index("response"))
    content = bytearray(block.read_bytes())
    content[column.data_page_offset + column.total_compressed_size // 3] ^= 1
    block.write_bytes(bytes(content))


@pytest.mark.parametrize("damage", [torn, altered, forged, unsigned, flipped])
@pytest.mark.parametrize("name", ["block-000008-000016.parquet", "greedy.parquet"])
def test_a_damaged_file_is_named_steps_aside_and_is_drawn_again(
    store: Store, damage: Callable[[Path], None], name: str
) -> None:
    store.run()
    whole = store.rows()
    damage(store.folder / name)
    damaged = (store.folder / name).read_bytes()
    store.lines.clear()
    store.run()
    assert store.rows() == whole
    (aside,) = store.folder.glob("*.torn-*")
    assert aside.read_bytes() == damaged
    (line,) = [line for line in store.lines if aside.name in line]
    assert line.startswith(str(store.folder / name)) and "its samples are drawn again" in line


def test_a_torn_file_that_another_shard_moves_first_is_drawn_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.run()
    whole, block = store.rows(), store.folder / "block-000008-000016.parquet"
    torn(block)
    rename = Path.rename

    def late(file: Path, target: Path) -> Path:
        rename(file, target.with_name(f"{file.name}.torn-by-another"))
        return rename(file, target)

    monkeypatch.setattr(Path, "rename", late)
    store.run()
    assert store.rows() == whole and block.with_name(f"{block.name}.torn-by-another").is_file()


@pytest.mark.parametrize("key", ["settings", "model", "problems"])
def test_a_block_of_another_store_is_refused_and_stays(store: Store, key: str) -> None:
    store.run()
    block = store.folder / "block-000008-000016.parquet"
    write_table(block, read_table(block)[0], FACTS | {key: "other"})
    before = store.files()
    with pytest.raises(StoreError, match=rf"000016\.parquet: found {key} other, expected of the test.* move the file"):
        store.run()
    assert store.files() == before


@pytest.mark.parametrize("key", ["tokenizer", "grader"])
def test_samples_of_another_tokenizer_or_grader_are_not_mixed_with_new_ones(store: Store, key: str) -> None:
    store.run()
    block = store.folder / "block-000008-000016.parquet"
    write_table(block, read_table(block)[0], FACTS | {key: ["other", 1]})
    before = store.files()
    with pytest.raises(StoreError, match=rf"found {key} \['other', 1\], expected None.*go back to that {key}, or move"):
        store.run(Design((64,)))
    assert store.files() == before


def test_a_checksum_knows_nothing_of_chunks_and_dictionaries() -> None:
    """Texts beyond 2 GiB stay in chunks when they are combined, where depends on those that they came in."""
    rows = {"a": [None if i % 7 == 3 else "x" * (i % 5) for i in range(9_001)], "b": [[i, i] for i in range(9_001)]}
    whole = pa.table(rows)
    parts = pa.concat_tables([whole.slice(0, 13), whole.slice(13, 5_000), whole.slice(5_013)])
    expected = content_sha256(whole, {})
    assert content_sha256(parts, {}) == expected
    assert content_sha256(parts.set_column(0, "a", parts.column("a").dictionary_encode()), {}) == expected
    assert content_sha256(whole.slice(1), {}) != expected


@pytest.mark.parametrize("values", [[None, 8, 8, 8], [None, 0.5, 0.75], [None, True, True], [[1], None, [2]]])
def test_a_checksum_knows_nothing_of_what_lies_under_nulls(values: list[Any], tmp_path: Path) -> None:
    write_table(tmp_path / "it.parquet", pa.table({"a": values}), {})
    assert read_verified(tmp_path / "it.parquet")[0].column("a").to_pylist() == values
    undefined = pa.array(np.array([7.0, 0.5]), mask=np.array([True, False]))
    assert content_sha256(pa.table({"a": undefined}), {}) == content_sha256(pa.table({"a": [None, 0.5]}), {})


# shards


@pytest.mark.parametrize("block", [5, 1024])
@pytest.mark.parametrize("shards", [2, 3, 7])
def test_shards_together_draw_what_one_job_draws(store: Store, other: Store, shards: int, block: int) -> None:
    other.run(block=block)
    declared = {shard: store.run(block=block, shard=shard, shards=shards) for shard in range(1, shards + 1)}
    assert store.sizes() == other.sizes() and same(store.samples(), other.samples()) >= 0.999
    assert sorted(name for files in declared.values() for name in files) == sorted(store.files()), "each file once"
    assert sum(record["file"] == "done" for record in store.records) == shards
    assert sum(record["problems"] for record in store.records if record["file"] == "done") == len(PROBLEMS)


def test_another_number_of_shards_draws_nothing_anew(store: Store) -> None:
    for shard in (1, 2, 3):
        store.run(shard=shard, shards=3)
    before = store.files()
    declared = store.run() | store.run(shard=1, shards=2) | store.run(shard=2, shards=2)
    assert store.files() == before == declared


def test_a_shard_that_is_interrupted_goes_on_beside_the_others(store: Store, other: Store) -> None:
    other.run(block=5)
    with pytest.raises(Interrupted):
        store.run(block=5, shard=1, shards=2, stopped=interrupted_after(4))
    store.run(block=5, shard=2, shards=2)
    assert len(set(store.sizes()[::2])) <= 2 and store.sizes()[1::2] == other.sizes()[1::2]
    store.run(block=5, shard=1, shards=2)
    assert store.sizes() == other.sizes()


# engines that repeat themselves


@dataclass(frozen=True)
class Repeating(Shuffling):
    """An engine that ignores the seeds of samples: every piece of work begins with the same random numbers."""

    def stream(self, work: Iterator[Work | None]) -> Iterator[tuple[Work, Responses] | None]:
        def deaf() -> Iterator[Work | None]:
            for item in work:
                if item is not None:
                    asked[id(drawn := replace(item, seed_GB=np.zeros_like(item.seed_GB) + self.seeds(item)))] = item
                    keep.append(drawn)
                yield None if item is None else drawn

        asked, keep = {}, []
        for item, responses in self.plain.stream(deaf()):
            yield asked[id(item)], responses

    def seeds(self, item: Work) -> np.ndarray:
        return np.arange(item.seed_GB.shape[1], dtype=np.uint64)


@dataclass(frozen=True)
class Deaf(Repeating):
    """One seed for all samples."""

    def seeds(self, item: Work) -> np.ndarray:
        return np.zeros(item.seed_GB.shape[1], np.uint64)


@pytest.mark.parametrize(("engine_type", "block"), [(Deaf, 64), (Repeating, 8)])
def test_an_engine_that_repeats_its_samples_is_found(
    engine: TorchEngine, store: Store, engine_type: type[Repeating], block: int
) -> None:
    """The second begins anew with each block: within one, all is well."""
    store.engine = engine_type(engine, 1, file_samples=None)
    message = r"block-\d{6}-\d{6}\.parquet is not stored: found \d+ pairs of equal .* engine repeats samples"
    with pytest.raises(EngineError, match=message):
        store.run(Design((64,)), block=block)
    assert len(list(store.folder.glob("block-*"))) == (0 if engine_type is Deaf else 1)
    if engine_type is Repeating:
        with pytest.raises(EngineError, match=message):
            store.run(Design((64,)), block=block)  # what is stored counts after a restart too


def rows_of(key_PS: np.ndarray, logprob_PS: np.ndarray) -> pa.Table:
    """Samples whose sequences are two tokens that stand for a key."""
    problem_S = np.repeat([f"p{place}" for place in range(len(key_PS))], key_PS.shape[1])
    tokens = pa.array([[key % 1000, key // 1000] for key in key_PS.reshape(-1).tolist()], pa.list_(pa.int32()))
    return pa.table({"problem_id": problem_S, "tokens": tokens, "logprob": pa.array(logprob_PS.reshape(-1))})


@pytest.mark.parametrize("files", [1, 4])
@pytest.mark.parametrize("samples", [2, 16, 256])
@pytest.mark.parametrize("steepness", [0.0, 1.0, 2.0, 8.0])
def test_independent_samples_are_never_taken_for_repeated_ones(steepness: float, samples: int, files: int) -> None:
    """From all alike to nearly all equal; a policy that always says the same has expected pairs only."""
    rng = np.random.default_rng(0)
    share_X = (1.0 + np.arange(20_000)) ** -steepness
    share_X /= share_X.sum()
    for _ in range(30):
        sequences = Sequences()
        for _ in range(files):
            key_PS = rng.choice(len(share_X), (5, samples), p=share_X)
            # what an engine says of a token is rounded
            noise_PS = rng.normal(0, 1e-3, key_PS.shape)
            sequences.check(rows_of(key_PS, np.log(share_X[key_PS]) + noise_PS), "block")


@pytest.mark.parametrize("steepness", [0.0, 1.0])
def test_one_sample_in_ten_that_is_drawn_twice_is_found(steepness: float) -> None:
    rng = np.random.default_rng(0)
    share_X = (1.0 + np.arange(20_000)) ** -steepness
    share_X /= share_X.sum()
    key_PS = rng.choice(len(share_X), (20, 256), p=share_X)
    key_PS[:, :26] = key_PS[:, 26:52]
    sequences = Sequences()
    sequences.check(rows_of(key_PS[:, 26:], np.log(share_X[key_PS[:, 26:]])), "block")
    with pytest.raises(EngineError, match="the 5120 samples of its 20 problems so far"):
        sequences.check(rows_of(key_PS[:, :26], np.log(share_X[key_PS[:, :26]])), "block")


def test_the_sequences_of_a_file_are_read_chunk_by_chunk() -> None:
    """An array holds 2^31 tokens at most, a file in its chunks any number."""
    chunk = rows_of(np.zeros((5, 200), np.int64) + np.arange(200), np.full((5, 200), -5.0))
    chunk = chunk.set_column(1, "tokens", pa.array([list(range(1000))] * len(chunk), pa.list_(pa.int32())))
    chunked, whole = Sequences(), Sequences()
    with counted() as pool:
        chunked.add(pa.concat_tables([chunk] * 20))
    assert pool.max_memory() < 2 * chunk.nbytes
    whole.add(pa.concat_tables([chunk] * 20).combine_chunks())
    assert chunked.by_problem.keys() == whole.by_problem.keys() != set()
    for name, (key_S, probability_S) in chunked.by_problem.items():
        assert np.array_equal(key_S, whole.by_problem[name][0])
        assert np.array_equal(probability_S, whole.by_problem[name][1])


def test_sequences_have_equal_keys_where_they_are_equal() -> None:
    rng = np.random.default_rng(0)
    rows = [rng.integers(0, 3, rng.integers(0, 5)).tolist() for _ in range(2000)] + [[], [0], [0, 0], [1, 0], [0, 1]]
    tokens = pa.array(rows, pa.list_(pa.int32()))
    key_S = sequence_keys(tokens)
    assert len(set(key_S.tolist())) == len({tuple(row) for row in rows})
    assert all(
        len({key for key, row in zip(key_S, rows, strict=True) if row == each}) == 1 for each in ([], [0], [1, 0])
    )
    assert (sequence_keys(tokens.slice(700, 50)) == key_S[700:750]).all()
