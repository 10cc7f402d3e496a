"""Names of runs and policies: what looks them up and what matches them agree with the lists, for any study."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workflow import shipped

from boundary_bench.core.errors import StudyError
from boundary_bench.plan import Plan
from boundary_bench.study.study import Study

name = st.from_regex(r"[a0]([._-]?[a1]){0,3}", fullmatch=True)


def names(most: int) -> st.SearchStrategy[list[str]]:
    return st.lists(name, min_size=1, max_size=most, unique=True)


def planned(study: dict[str, Any]) -> Plan:
    return Plan(Study.model_validate(study), Path("study.yaml"), Path("results"))


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """A study whose names are alike and full of what means something in patterns."""
    study: dict[str, Any] = shipped("smoke")
    segments = draw(st.lists(st.integers(1, 120), min_size=1, max_size=3, unique=True).map(sorted))
    study["models"] = dict.fromkeys(draw(names(3)), study["models"]["countdown-base"])
    study["algorithms"] = {algorithm: {"like": "grpo"} for algorithm in draw(names(3))}
    study["seeds"] = draw(st.lists(st.integers(0, 12), min_size=1, max_size=3, unique=True))
    study["training"]["segments"] = segments
    kept = draw(st.sets(st.sampled_from(segments), min_size=1))
    study["evaluate"]["steps"] = [0, *sorted(kept)]
    labels = draw(st.lists(name, max_size=2, unique=True).map(lambda names: [f"{each}.given" for each in names]))
    steps = draw(st.sets(st.integers(1, 120), min_size=1, max_size=3))
    given = {"model": next(iter(study["models"])), "checkpoints": {step: {"path": "x"} for step in steps}}
    study["runs"] = {label: given | {"seed": draw(st.integers(0, 12))} for label in labels}
    return planned(study)


def near(known: list[str]) -> list[str]:
    """Names that are nearly those."""
    odd = [text.replace(".", "_") for text in known] + [re.sub(r"\d+$", "0", text) for text in known]
    odd += [text + end for text in known for end in ("0", "--step0", "--step1", "--seed0", "/a", ".", "\n")]
    return odd + [text[:-1] for text in known] + [text[1:] for text in known] + [text.upper() for text in known]


@settings(max_examples=80, deadline=None, derandomize=True)
@given(plans())
def test_lookups_and_patterns_know_the_listed_names_and_no_others(plan: Plan) -> None:
    for listed, find, pattern in (
        (plan.runs, plan.run, plan.run_pattern),
        (plan.policies, plan.policy, plan.policy_pattern),
    ):
        known = [one.name for one in listed]
        assert len(set(known)) == len(known)
        assert [find(text) for text in known] == list(listed)
        # as in a file's pattern: a wildcard is a group between other text
        file = re.compile(f"samples/(?P<name>{pattern})/set.json$")
        assert all(file.match(f"samples/{text}/set.json") for text in known)
        for text in near(known):
            found = file.match(f"samples/{text}/set.json")
            assert (found is not None) == (text in known), text
            if text not in known:
                with pytest.raises(StudyError, match=r"in this study; .*Known: "):
                    find(text)


def test_patterns_do_not_grow_with_the_number_of_runs() -> None:
    """Snakemake reads through a file's pattern for every job."""
    plans = [
        Plan(
            Study.model_validate(shipped("smoke") | {"seeds": list(range(seeds))}), Path("study.yaml"), Path("results")
        )
        for seeds in (1, 101)
    ]
    assert len(plans[1].policies) == 1 + 101 * 4 * 2
    assert len(plans[1].policy_pattern) - len(plans[0].policy_pattern) <= 100 * len("|100")
