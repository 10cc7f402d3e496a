"""``boundary-bench passk``: as a user types it, on own files and on the counts of two real models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from workflow import REPOSITORY

from boundary_bench.commands import main
from boundary_bench.core.errors import DataError
from boundary_bench.grading import Verdict
from boundary_bench.operations.passk import passk
from boundary_bench.sampling.stored.policy import StoredPolicy, StoredProblem
from boundary_bench.statistics.passk import pass_at_k
from boundary_bench.study.analysis import Analysis

SHARED = Path(__file__).parents[3] / "shared" / "data"
real = pytest.mark.skipif(not SHARED.is_dir(), reason="needs the real data of ../shared/data")


def written(path: Path, correct: list[int], n: int, **more: str) -> str:
    rows = [{"id": f"p{i}", "n": n, "c": c, **more} for i, c in enumerate(correct)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = main(["passk", *words])
    found = capsys.readouterr()
    return code, found.out + found.err


def test_one_policy_has_its_curve(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path / "base.jsonl", [0, 1, 4, 8] * 10, 8)
    code, text = run(capsys, file, "--json")
    found = json.loads(text)
    assert code == 0 and not found["pairs"] and [row["k"] for row in found["curves"]] == [1, 2, 4, 8]
    expected_K = pass_at_k([8] * 40, [0, 1, 4, 8] * 10, [1, 2, 4, 8]).mean(0)
    np.testing.assert_allclose([row["estimate"] for row in found["curves"]], expected_K)
    assert all(row["band_low"] < row["estimate"] < row["band_high"] for row in found["curves"])
    assert "base: 40 problem(s) x 8 samples, 40.6% correct (as stored)" in run(capsys, file)[1]


def test_two_policies_with_different_numbers_of_samples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    rate_P = rng.beta(0.4, 1, 200)
    base = written(tmp_path / "base.jsonl", rng.binomial(64, rate_P).tolist(), 64)
    other = written(tmp_path / "rl.jsonl", rng.binomial(16, np.where(rate_P > 0.2, rate_P**0.4, 0)).tolist(), 16)
    code, text = run(capsys, base, other, "--json")
    found = json.loads(text)
    rows = found["pairs"]["differences"]
    assert code == 0 and [row["k"] for row in rows] == [1, 2, 4, 8, 16]
    assert rows[0]["band_low"] > 0 > rows[-1]["band_high"]
    (moved,), once = found["pairs"]["boundary"], found["pairs"]["coverage"][0]
    assert (
        moved["leader"] == "checkpoint" and 1 < moved["crossover_low"] <= moved["crossover"] <= moved["crossover_high"]
    )
    assert sum(once[name] for name in ("both", "base_only", "checkpoint_only", "neither")) == pytest.approx(200)
    text = run(capsys, base, other, "--ks", "1,16")[1]
    assert "solved at least once with the smaller n" in text and "expanded" in text and "shrunk" in text


def test_groups_are_the_values_of_a_column(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"id": i, "n": 4, "c": i % 5, "source": "ab"[i % 2]} for i in range(20)]
    (tmp_path / "base.jsonl").write_text("\n".join(map(json.dumps, rows)))
    _, text = run(capsys, str(tmp_path / "base.jsonl"), "--by", "source")
    assert "pass@k of a, mean over 10 problem(s)" in text and "pass@k, mean over 20 problem(s)" in text
    assert "pass@k of" not in run(capsys, str(tmp_path / "base.jsonl"))[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--ks", "1,9"], "--ks: 9 is outside 1 to 8"),
        (["--ks", "8,1"], "--ks: found '8,1', expected ascending numbers"),
        (["--level", "2"], "--level: found 2"),
        (["--n", "9"], "fewer than 9 samples"),
        (["--n", "4"], "--n 4: found counts of more samples"),
        (["--grader", "maths"], "did you mean 'math'"),
    ],
)
def test_a_wrong_option_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    code, text = run(capsys, written(tmp_path / "base.jsonl", [0, 1, 4, 8], 8), *words)
    assert code == 2 and message in text and "Traceback" not in text


def test_numbers_of_samples_that_differ_need_a_rule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"id": name, "response": f"{name} {i}", "score": i == 0} for name, n in (("p", 2), ("q", 4)) for i in range(n)
    ]
    file = tmp_path / "base.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    code, text = run(capsys, str(file))
    assert code == 2 and "2 samples of problem 'p' and 4 of 'q'" in text and "--n 2 takes the first" in text
    code, text = run(capsys, str(file), "--n", "2")
    assert code == 0 and "2 problem(s) x 2 samples, 50.0% correct" in text


def test_truncated_samples_are_counted_apart_and_of_counts_unknown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ends = ["length", "stop", "stop", "length"]
    rows = [
        {"id": name, "response": f"{name} {i}", "score": i == 1, "finish_reason": end}
        for name in "pqr"
        for i, end in enumerate(ends)
    ]
    (tmp_path / "base.jsonl").write_text("\n".join(map(json.dumps, rows)))
    _, text = run(capsys, str(tmp_path / "base.jsonl"), "--json")
    assert json.loads(text)["curves"][0]["truncated"] == 6
    _, text = run(capsys, str(tmp_path / "base.jsonl"), "--n", "3", "--json")
    assert json.loads(text)["curves"][0]["truncated"] == 3
    _, text = run(capsys, written(tmp_path / "counts.jsonl", [1, 2], 4), "--json")
    assert "truncated" not in json.loads(text)["curves"][0]


def test_a_timeout_is_missing_and_hides_no_other_number_of_samples(log: list[str]) -> None:
    def policy(**verdicts: str) -> StoredPolicy:
        words = {"c": Verdict.CORRECT, "w": Verdict.WRONG, "t": Verdict.TIMEOUT}
        problems = {
            name: StoredProblem("", "", "", {i: words[each] for i, each in enumerate(said)})
            for name, said in verdicts.items()
        }
        return StoredPolicy("base", "", (Path("base"),), b"", problems, "math 3")

    found = passk([policy(p="tcww", q="cwwc")], None, [1], Analysis(), log.append)
    assert found.curves[0]["estimate"] == pytest.approx(1 / 3) and found.curves[0]["unscored"] == 1
    assert "1 samples timed out" in log[0]
    with pytest.raises(DataError, match="found 3 samples of problem 'p' and 4 of 'q'"):
        passk([policy(p="tcw", q="cwwc")], None, [1], Analysis(), log.append)


@pytest.fixture
def log() -> list[str]:
    return []


@real
def test_the_counts_of_two_real_models_give_the_published_finding(capsys: pytest.CaptureFixture[str]) -> None:
    """arXiv 2609.22547 on R1-Distill-1.5B and DeepScaleR: a gain at k = 1 to 10, a loss at 61 to 128."""
    files = [str(SHARED / "counts-deepscaler" / f"{name}.jsonl") for name in ("base", "rl")]
    _, text = run(capsys, *files, "--ks", "1-128", "--json")
    rows = json.loads(text)["pairs"]["differences"]
    gained = [row["k"] for row in rows if row["band_low"] > 0]
    lost = [row["k"] for row in rows if row["band_high"] < 0]
    assert gained == list(range(1, len(gained) + 1)) and 10 <= len(gained) <= 12
    assert lost == list(range(lost[0], 129)) and 55 <= lost[0] <= 68
    published = json.loads((REPOSITORY / "results/published/deepscaler-1.5b/dense.json").read_text())
    # the fit of the prior ends in another ninth digit on another kind of processor
    for found, kept in zip(_rows(json.loads(text)), _rows(published), strict=True):
        for name, value in kept.items():
            near = value if isinstance(value, str) else pytest.approx(value, abs=1e-6, nan_ok=True)
            assert found[name] == near, name


def _rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [*found["curves"], *(row for rows in found["pairs"].values() for row in rows)]


@real
def test_real_samples_are_graded_beside_their_own_scores(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = run(capsys, str(SHARED / "samples" / "qwen-math-eval.jsonl"), "--grader", "math")
    assert code == 0 and "100 problem(s) x 8 samples" in text and "scores differ on 1 of 800" in text
    code, text = run(capsys, str(SHARED / "samples" / "nemo-skills-output-rs*.jsonl"), "--grader", "math")
    assert code == 0 and "5 problem(s) x 3 samples" in text and "scores differ on 1 of 15" in text
