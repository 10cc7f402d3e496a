"""Randomness from names: keys do not collide, streams are uniform and independent, and they never change."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from boundary_bench.core.randomness import key, sample_seeds, uniforms

MANY = 100_000
ROOT = key("a", "b")
part = st.one_of(st.text(max_size=4), st.integers(-3, 12), st.sampled_from(['","', '"', "[", "]", "\\", "1", "null"]))
names = st.lists(part, max_size=4).map(tuple)


def test_parts_do_not_run_together() -> None:
    alike = [("ab",), ("a", "b"), ("a", "b", ""), ("", "ab"), ("b", "a"), ('a","b',), ("a,b",), (), ("",), ("[]",)]
    assert len({key(*parts) for parts in alike}) == len(alike)


def test_a_number_is_not_its_text() -> None:
    alike = [(1,), ("1",), (-1,), (12,), (1, 2), ("1", 2), (1, "2"), ("1, 2",)]
    assert len({key(*parts) for parts in alike}) == len(alike)


@settings(max_examples=60)
@given(names, names)
def test_keys_are_equal_only_for_equal_names(one: tuple[str | int, ...], other: tuple[str | int, ...]) -> None:
    assert (key(*one) == key(*other)) == (one == other)
    assert 0 <= key(*one) < 2**64


def test_keys_of_a_study_are_distinct() -> None:
    found = {
        key("sample", s, f"m--grpo--seed{r}", b, p)
        for s, r, b, p in itertools.product(range(5), range(5), "ab", range(1000))
    }
    assert len(found) == 50_000


def test_a_seed_depends_on_its_index_and_not_on_how_indices_are_split() -> None:
    whole = sample_seeds(ROOT, np.arange(1000))
    pieces = [sample_seeds(ROOT, index) for index in np.split(np.arange(1000), [1, 17, 512, 999])]
    assert np.array_equal(whole, np.concatenate(pieces))
    order = np.random.default_rng(0).permutation(1000)
    assert np.array_equal(sample_seeds(ROOT, order), whole[order])
    assert np.array_equal(sample_seeds(ROOT, np.arange(1000).reshape(10, 100)), whole.reshape(10, 100))


def test_a_uniform_depends_on_its_seed_and_position_alone() -> None:
    seed_S = sample_seeds(ROOT, np.arange(100))
    whole = uniforms(seed_S, 7)
    assert [float(uniforms(seed_S[i : i + 1], 7)[0]) for i in range(100)] == whole.tolist()
    assert np.array_equal(uniforms(seed_S[::-1], 7), whole[::-1])


def test_no_two_seeds_of_a_hundred_thousand_are_equal() -> None:
    seed_S = np.concatenate([sample_seeds(key("x", p), np.arange(MANY // 10)) for p in range(10)])
    assert len(np.unique(seed_S)) == MANY


@pytest.mark.parametrize("position", [0, 1, 63])
def test_uniforms_are_uniform_on_a_grid_in_the_half_open_interval(position: int) -> None:
    u_S = uniforms(sample_seeds(ROOT, np.arange(MANY)), position)
    assert u_S.min() >= 0 and u_S.max() < 1
    assert np.array_equal(u_S * 2**32, np.floor(u_S * 2**32)), "a grid of 2**-32 keeps the sampler's search exact"
    assert abs(u_S.mean() - 0.5) < 5 / np.sqrt(12 * MANY)
    assert chisquare(np.bincount((u_S * 256).astype(int), minlength=256)).pvalue > 1e-4
    low_bits = (u_S * 2**32).astype(np.int64) % 256
    assert chisquare(np.bincount(low_bits, minlength=256)).pvalue > 1e-4


def test_uniforms_along_one_sample_are_uniform() -> None:
    seed_S = sample_seeds(ROOT, np.arange(10))
    u_ST = np.stack([uniforms(seed_S, t) for t in range(MANY // 10)], 1)
    assert chisquare(np.bincount((u_ST.ravel() * 256).astype(int), minlength=256)).pvalue > 1e-4


def pairs() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Numbers that must have nothing to do with each other."""
    index = np.arange(MANY)
    here = uniforms(sample_seeds(ROOT, index), 0)
    return {
        "next position": (here, uniforms(sample_seeds(ROOT, index), 1)),
        "next index": (here[:-1], here[1:]),
        "next position of the next index": (here[:-1], uniforms(sample_seeds(ROOT, index), 1)[1:]),
        "next root": (here, uniforms(sample_seeds(ROOT + 1, index), 0)),
        "other problem": (here, uniforms(sample_seeds(key("a", "c"), index), 0)),
    }


@pytest.mark.parametrize("name", list(pairs()))
def test_neighbours_are_independent(name: str) -> None:
    a, b = pairs()[name]
    assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(MANY)
    cells = (a * 16).astype(int) * 16 + (b * 16).astype(int)
    assert chisquare(np.bincount(cells, minlength=256)).pvalue > 1e-4


def test_sample_seeds_are_the_published_splitmix64_stream() -> None:
    """The values for the seed 1234567 that Rosetta Code lists for the algorithm of Steele, Lea and Flood."""
    published = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert sample_seeds(1234567, np.arange(5)).tolist() == published


def test_the_streams_never_change() -> None:
    """Golden values: a change here changes every sample of every study, so it needs a new version of the stages."""
    assert key() == 14368017890445460849
    assert key("a", "b") == 863998162420618712
    assert key("sample", 0, "base", "countdown", "00ff") == 16855473159136249429
    seed_S = sample_seeds(ROOT, np.array([0, 1, 2, 10**6]))
    assert seed_S.tolist() == [3352645594289948099, 13220237468007037207, 11860576441491022685, 5506125873104304834]
    assert (uniforms(seed_S[:3], 0) * 2**32).tolist() == [2284720944.0, 1967921058.0, 1070036060.0]
    assert uniforms(seed_S[:3], 63).tolist() == [0.46330069773830473, 0.6662550342734903, 0.8975625531747937]
