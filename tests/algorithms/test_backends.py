"""Which backend can train what: refused by name when a study is read, and what a run's identity is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from boundary_bench.algorithms import ALGORITHMS, resolve
from boundary_bench.algorithms.advantage import Advantage
from boundary_bench.algorithms.algorithm import Algorithm
from boundary_bench.algorithms.surrogate import Surrogate
from boundary_bench.algorithms.translate import TABLES, refusal
from boundary_bench.core.errors import StudyError
from boundary_bench.plan import Plan, make_plan
from boundary_bench.plan.stages import identity, settings
from boundary_bench.study.backends import BACKENDS
from boundary_bench.study.file import SHIPPED

KL = {"kl": "k3", "kl_coefficient": 0.1}
BONUS = {"entropy_coefficient": 0.1}
CONSTANT = {"aggregation": "constant_length", "constant_length": 24}

#: Backend: (changes of grpo, what the message must hold, the backends that can).
UNSUPPORTED: dict[str, list[tuple[dict[str, Any], str, list[str]]]] = {
    "openrlhf": [
        ({"signs": "negative", "others": "drop"}, "others: drop", ["reference"]),
        ({"signs": "positive", "others": "drop"}, "others: drop", ["reference"]),
        (CONSTANT, "aggregation: constant_length", ["reference", "trl"]),
        ({"aggregation": "sequence_mean", **KL}, "sequence_mean with kl: k3", ["reference", "trl"]),
        ({"aggregation": "sequence_mean", **BONUS}, "sequence_mean with entropy_coefficient", ["reference"]),
        ({"like": "gspo", **BONUS}, "sequence_mean with entropy_coefficient", ["reference"]),
        ({"ratio": "sequence"}, "ratio: sequence with aggregation: token_mean", ["reference", "trl"]),
    ],
    "trl": [
        ({"signs": "negative", "others": "drop"}, "others: drop", ["reference"]),
        ({"kl": "k1", "kl_coefficient": 0.1}, "kl: k1", ["reference", "openrlhf"]),
        ({"kl": "k2", "kl_coefficient": 0.1}, "kl: k2", ["reference", "openrlhf"]),
        (BONUS, "entropy_coefficient", ["reference", "openrlhf"]),
        ({"dual_clip": 1.1}, "dual_clip: 1.1 below 1 + clip_high = 1.2", ["reference", "openrlhf"]),
    ],
}
CASES = [(backend, *case) for backend, cases in UNSUPPORTED.items() for case in cases]

#: What names the algorithm of a run, beside the version of everything.
IDENTITIES = {
    "grpo": {},
    "grpo-n": {"signs": {"kind": "negative"}},
    "gspo": {
        "surrogate": {"kind": "clipped", "ratio": "sequence", "clip_low": 3e-4, "clip_high": 4e-4},
        "aggregation": {"kind": "sequence_mean"},
    },
}
IDENTITIES["gspo-n"] = {**IDENTITIES["gspo"], **IDENTITIES["grpo-n"]}


@pytest.fixture
def plan(tmp_path: Path) -> Any:
    """The plan of the smoke study with a backend and other changes."""

    def made(backend: str = "reference", algorithms: Any = None, **training: Any) -> Plan:
        study = yaml.safe_load((SHIPPED / "smoke.yaml").read_text())
        study["training"] |= {"backend": backend, **training}
        study["algorithms"] = algorithms or study["algorithms"]
        path = tmp_path / "study.yaml"
        path.write_text(yaml.safe_dump(study))
        return make_plan(str(path))

    return made


def named(plan: Plan) -> str:
    return identity(plan, "train", plan.runs[0].name, plan.study.training.segments[0])


@pytest.mark.parametrize(("backend", "changes", "found", "able"), CASES)
def test_a_study_whose_backend_cannot_express_an_algorithm_is_refused(
    plan: Any, backend: str, changes: dict[str, Any], found: str, able: list[str]
) -> None:
    with pytest.raises(StudyError) as caught:
        plan(backend, {"mine": {"like": "grpo", **changes}})
    message = str(caught.value)
    assert all(part in message for part in ["algorithms.mine", f"the backend {backend} ", found]), message
    assert f"training.backend: one of {', '.join(able)}; or" in message
    for other in able:
        plan(other, {"mine": {"like": "grpo", **changes}})


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_backend_trains_the_table_as_it_is_or_refuses_by_name(name: str, backend: str) -> None:
    """What the debate is about every backend trains, and the reference trains everything."""
    if refusal(backend, ALGORITHMS[name]) is None:
        assert resolve(name, {}, backend) == ALGORITHMS[name]
    else:
        assert name not in IDENTITIES and backend != "reference"


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "overrides", [{"advantage": "centered"}, {"std": "population"}, {"epsilon": 0.5}, {"signs": "positive"}]
)
def test_every_backend_has_every_advantage(overrides: dict[str, Any], backend: str) -> None:
    resolve("grpo", overrides, backend)


@pytest.mark.parametrize("backend", TABLES)
def test_a_part_that_is_not_translated_is_refused_by_its_own_name(backend: str) -> None:
    class Free(Surrogate):
        kind: str = "free"

        def __call__(self, given: Any) -> Any: ...

    class Half(Advantage):
        kind: str = "half"

        def __call__(self, reward_PG: Any) -> Any: ...

    assert refusal(backend, Algorithm().model_copy(update={"surrogate": Free()})) == "surrogate: free"
    assert refusal(backend, Algorithm().model_copy(update={"advantage": Half()})) is None, "advantages are ours"


def test_the_reference_expresses_everything() -> None:
    for _, changes, *_ in CASES:
        assert refusal("reference", resolve("mine", {"like": "grpo", **changes})) is None


def test_runs_of_the_reference_keep_their_identity_in_a_study_of_more() -> None:
    """The quickstart's runs are the first of the same study with three seeds, and no two of those are one run."""
    one, three = (
        {run.name: identity(plan, "train", run.name, 40) for run in plan.runs}
        for plan in map(make_plan, ("quickstart", "quickstart-seeds"))
    )
    assert len(one) == 4 and one.items() <= three.items()
    assert len(set(three.values())) == len(three) == 12
    smoke = make_plan("smoke")
    assert named(smoke) not in three.values(), "other settings"


@pytest.mark.parametrize("study", ["smoke", "quickstart", "quickstart-seeds"])
def test_an_algorithm_is_in_the_identity_of_a_run_as_far_as_it_is_not_the_default(study: str) -> None:
    plan = make_plan(study)
    for run in plan.runs:
        found = settings(plan, "train", run.name, plan.study.training.segments[0])
        assert found["algorithm"] == IDENTITIES[run.algorithm]


def test_backend_flags_and_type_are_part_of_a_run(plan: Any) -> None:
    found = [
        named(plan()),
        named(plan("openrlhf")),
        named(plan("trl")),
        named(plan("openrlhf", openrlhf={"flags": {"actor.adam.eps": 1e-6}})),
        named(plan("openrlhf", openrlhf={"flags": {"actor.adam.eps": 1e-5}})),
        named(plan("trl", trl={"dtype": "bfloat16"})),
    ]
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("backend", ["openrlhf", "trl"])
def test_settings_of_a_backend_that_does_not_train_are_refused(plan: Any, backend: str) -> None:
    with pytest.raises(StudyError) as caught:
        plan(**{backend: {"micro_batch": 2}})
    assert all(part in str(caught.value) for part in [f"settings of {backend}", f"write backend: {backend}"])
