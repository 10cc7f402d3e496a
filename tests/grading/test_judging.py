"""Judging in processes: verdicts, deadlines, crashes, kills, threads, and the cache that outlives them all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from answers import GOLDEN, HOSTILE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from boundary_bench.benchmarks.countdown import GRADER as COUNTDOWN
from boundary_bench.core.errors import GradingError, StoreError
from boundary_bench.grading import (
    NO_ANSWER,
    TRUNCATED,
    Grade,
    Grader,
    Pair,
    Ruling,
    Verdict,
    algebra,
    grade_all,
    grade_many,
)
from boundary_bench.grading.cache import Cache
from boundary_bench.grading.graders import MATH, quick
from boundary_bench.grading.isolation import MEMORY
from boundary_bench.grading.judging import Judge
from boundary_bench.grading.sieve import incomputable, unreadable

C, W, LATE = Verdict.CORRECT, Verdict.WRONG, Verdict.TIMEOUT
#: Where another process can import this module, and what it imports.
PATHS = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
HERE: dict[str, Any] = {"cwd": Path(__file__).parent, "env": {**os.environ, "PYTHONPATH": PATHS}}


def odd(reference: str, answer: str) -> Ruling:
    """A judge that does what it is told."""
    if reference.startswith("/"):
        Path(reference).touch()  # "I have begun"
    if answer == "hang":
        while True:
            pass
    if answer == "hang in C":
        return Ruling(Verdict(str(9**9**9)), "")
    if answer == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if answer == "raise":
        raise RecursionError
    if answer == "memory":
        return Ruling(Verdict.CORRECT if bytes(MEMORY + (1 << 30)) else Verdict.WRONG, "")
    if answer == "print":
        print("correct")
    if answer == "process":
        return Ruling(Verdict.CORRECT if str(os.getpid()) != reference else Verdict.WRONG, "")
    return Ruling(Verdict.CORRECT, "same") if reference == answer else Ruling(Verdict.WRONG, f"other: {answer!r}\n")


ODD = Grader("odd", 1, str.strip, odd, isolated=True, deadline=1.0)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    """One judge, whose processes are started once."""
    with Judge(tmp_path_factory.mktemp("grades"), 2) as judge:
        yield judge


def verdicts(judge: Judge, grader: Grader, pairs: list[Pair]) -> list[Verdict]:
    return [ruling.verdict for ruling in judge(grader, pairs)]


def processes(judge: Judge) -> list[int]:
    return [worker.process.pid for pool in judge.pools.values() for worker in pool.workers]


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_golden_answers_through_processes(shared: Judge) -> None:
    pairs = [(reference, answer) for reference, answer, _ in GOLDEN]
    expected = [C if verdicts[0] == "C" else W for _, _, verdicts in GOLDEN]
    assert verdicts(shared, MATH, pairs + pairs) == expected * 2


def test_whole_numbers_are_compared_as_math_verify_compares_them() -> None:
    numbers = ["0", "-0", "7", "007", "-7", "42", "1000000", "123456789012345", "123456789012346"]
    for reference in numbers:
        for answer in numbers:
            assert quick(reference, answer).verdict is (C if algebra.compare(reference, answer).equal else W)


def test_order_and_repeats_are_kept(shared: Judge) -> None:
    pairs = [(str(i % 7), str(i % 5)) for i in range(200)]
    assert verdicts(shared, ODD, pairs) == [C if reference == answer else W for reference, answer in pairs]
    assert verdicts(shared, ODD, []) == []


@pytest.mark.parametrize("bad", ["hang", "hang in C", "crash", "raise", "memory"])
def test_a_bad_answer_costs_its_deadline_and_nothing_else(shared: Judge, bad: str) -> None:
    verdicts(shared, ODD, [("warm", "up"), ("warm", "down")])
    good = [(bad + str(i % 11), bad + str(i % 10)) for i in range(150)]
    begun = time.monotonic()
    found = verdicts(shared, ODD, [*good[:75], ("1", bad), *good[75:]])
    assert found[75] is LATE
    assert found[:75] + found[76:] == [C if reference == answer else W for reference, answer in good]
    assert time.monotonic() - begun < ODD.deadline + 60, "the rest is for starting a process on a busy machine"
    assert verdicts(shared, ODD, [("2", "2")]) == [C]


def test_a_hang_is_ended_at_its_deadline_and_not_before(shared: Judge) -> None:
    begun = time.monotonic()
    assert verdicts(shared, ODD, [("deadline", "hang in C")]) == [LATE]
    assert time.monotonic() - begun >= ODD.deadline


def test_every_answer_bad(shared: Judge) -> None:
    assert verdicts(shared, replace(ODD, name="mad"), [(str(i), "crash") for i in range(5)]) == [LATE] * 5


def test_what_a_judge_prints_is_no_verdict(shared: Judge) -> None:
    assert verdicts(shared, ODD, [("1", "print")]) == [W]


def test_a_worker_killed_while_it_waits_is_replaced_and_costs_no_verdict(shared: Judge) -> None:
    verdicts(shared, ODD, [("killed", "0"), ("killed", "1")])
    before = [worker.process for worker in shared.pools["odd"].workers]
    for process in before:
        os.kill(process.pid, signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert verdicts(shared, ODD, [("killed", str(i)) for i in range(2, 30)]) == [W] * 28
    assert not any(alive(process.pid) for process in before)


def test_a_worker_killed_in_the_middle_costs_the_answer_it_had(shared: Judge) -> None:
    slow = replace(ODD, name="slow", deadline=60.0)
    verdicts(shared, slow, [("0", "0"), ("1", "1")])
    found: list[Verdict] = []
    pairs = [("middle", "hang"), *(("middle", str(i)) for i in range(50))]
    thread = threading.Thread(target=lambda: found.extend(verdicts(shared, slow, pairs)))
    thread.start()
    pool = shared.pools["slow"]
    while not (busy := [w for w in list(pool.workers) if w.pair == ("middle", "hang")]):
        assert thread.is_alive()
    os.kill(busy[0].process.pid, signal.SIGKILL)
    thread.join(50)
    assert not thread.is_alive() and found == [LATE] + [W] * 50


def test_workers_do_not_take_the_signals_of_the_group_for_a_verdict(shared: Judge) -> None:
    verdicts(shared, ODD, [("signals", "0"), ("signals", "1")])
    before = processes(shared)
    for process in before:
        os.kill(process, signal.SIGINT)
        os.kill(process, signal.SIGTERM)
    assert verdicts(shared, ODD, [("signals", str(i)) for i in range(2, 20)]) == [W] * 18
    assert processes(shared) == before


def test_other_threads_may_judge(shared: Judge) -> None:
    found: list[Verdict] = []
    pairs = [("\\sqrt{8}", "2\\sqrt{2}"), ("3", "thread")]
    thread = threading.Thread(target=lambda: found.extend(verdicts(shared, MATH, pairs)))
    thread.start()
    thread.join(60)
    assert found == [C, W]


@pytest.mark.parametrize("answer", HOSTILE.values(), ids=HOSTILE)
def test_hostile_answers_within_the_limits_are_never_correct(
    shared: Judge, answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where a file would be made if the text were ever run
    assert not unreadable(answer) and not incomputable(answer)
    hasty = replace(MATH, name="hasty", deadline=2.0)
    assert set(verdicts(shared, hasty, [("x^2+1", answer), ("\\frac{1}{2}", answer)])) <= {W, LATE}
    assert verdicts(shared, hasty, [("7", "7.0")]) == [C]
    assert not list(tmp_path.iterdir())


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(max_size=40), st.text(alphabet="\\{}[]()^_$%0123456789+-*/=<>!,.;abfrcsqtx \n\x00\u202e\ud800", max_size=40)
)
def test_no_text_breaks_the_processes(shared: Judge, reference: str, answer: str) -> None:
    hasty = replace(MATH, name="hasty", deadline=2.0)
    ((verdict, reason),) = shared(hasty, [(reference, answer)])
    assert verdict in (C, W, LATE, Verdict.UNPARSABLE) and reason


def test_no_process_starts_for_a_plain_grader_or_for_nothing(tmp_path: Path) -> None:
    with Judge(tmp_path / "grades") as judge:
        assert grade_all(ODD, "1", ["1"], [False], judge) == [TRUNCATED]
        problem = '{"numbers": [1, 2], "target": 3}'
        assert grade_all(COUNTDOWN, problem, ["1+2=3"], [True], judge)[0].verdict is C
        assert not processes(judge) and not (tmp_path / "grades").exists()


def test_processes_end_with_their_judge(tmp_path: Path) -> None:
    with Judge(tmp_path) as judge:
        verdicts(judge, ODD, [("1", "1"), ("2", "1")])
        running = processes(judge)
        assert len(running) == 2 and all(map(alive, running))
    assert not any(map(alive, running))


@pytest.mark.parametrize(("answer", "deadline"), [("wait", 600), ("hang", 600), ("hang in C", 1)])
def test_no_process_outlives_a_killed_parent(tmp_path: Path, answer: str, deadline: float) -> None:
    """One that waits or computes in Python ends at once; one held in C code at its own deadline."""
    begun = [tmp_path / "one", tmp_path / "two"]
    code = f"""
        import threading
        from pathlib import Path
        from dataclasses import replace
        from test_judging import ODD, Judge, verdicts
        patient = replace(ODD, deadline={deadline})
        judge = Judge(Path({str(tmp_path / "grades")!r}), 2)
        verdicts(judge, patient, [("1", "1"), ("2", "1")])
        print(*(worker.process.pid for worker in judge.pools["odd"].workers), flush=True)
        while {answer!r} == "wait":
            threading.Event().wait()
        verdicts(judge, patient, [({str(begun[0])!r}, {answer!r}), ({str(begun[1])!r}, {answer!r})])
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **HERE) as parent:
        assert parent.stdout is not None
        children = [int(number) for number in parent.stdout.readline().split()]
        assert len(children) == 2
        while answer != "wait" and not all(path.exists() for path in begun):
            assert parent.poll() is None
        assert all(map(alive, children))
        parent.kill()
    end = time.monotonic() + 60
    while any(map(alive, children)) and time.monotonic() < end:
        threading.Event().wait(0.05)
    assert not any(map(alive, children))


def test_an_isolated_grader_needs_a_judge() -> None:
    with pytest.raises(GradingError, match="may hang"):
        grade_all(MATH, "1", ["\\boxed{1}"], [True])


def test_processes_that_do_not_start_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with Judge(tmp_path) as judge, pytest.raises(GradingError, match="did not start"):
        verdicts(judge, ODD, [("1", "1")])


def test_many_problems_at_once_grade_as_each_alone(shared: Judge) -> None:
    references = ["1", "2", "1", "2", "1", "2"]
    responses = ["\\boxed{1}", "\\boxed{1}", "\\boxed{1.0}", "\\boxed{2}", "no", "\\boxed{2}"]
    finished = [True, True, True, True, True, False]
    together = grade_many(MATH, references, responses, finished, shared)
    found = [(grade.verdict, grade.answer) for grade in together]
    assert found[:4] == [(C, "1"), (W, "1"), (C, "1.0"), (C, "2")]
    assert together[4:] == [Grade(Verdict.UNPARSABLE, None, NO_ANSWER.reason), TRUNCATED]
    for place in (0, 1):
        mine = slice(place, None, 2)
        alone = grade_all(MATH, references[place], responses[mine], finished[mine], shared)
        assert together[mine] == alone


# the cache


def test_judgements_survive_and_timeouts_do_not(tmp_path: Path) -> None:
    pairs = [("1", "1"), ("1", "2"), ("1", "hang"), ("\ud800\n", "\u202e")]
    with Judge(tmp_path) as judge:
        assert verdicts(judge, ODD, pairs) == [C, W, LATE, W]
        begun = time.monotonic()
        assert verdicts(judge, ODD, pairs) == [C, W, LATE, W]
        assert time.monotonic() - begun < ODD.deadline / 2, "not twice in one process"
    with Judge(tmp_path) as judge:
        kept = [pairs[0], pairs[1], pairs[3]]
        assert judge(ODD, kept) == [odd(*pair) for pair in kept] and not processes(judge)
        begun = time.monotonic()
        assert verdicts(judge, ODD, pairs) == [C, W, LATE, W]
        assert time.monotonic() - begun >= ODD.deadline, "another process tries again"


def test_another_version_or_library_judges_anew(tmp_path: Path) -> None:
    with Judge(tmp_path) as judge:
        verdicts(judge, ODD, [("1", "1")])
    for other in (replace(ODD, version=2), replace(ODD, name="even"), replace(ODD, libraries=("sympy",))):
        cache = Cache(tmp_path, other)
        cache.load()
        assert not cache.known
    assert any("sympy" in str(part) for part in MATH.identity)


def test_what_a_crash_tore_is_judged_anew(tmp_path: Path) -> None:
    with Judge(tmp_path) as judge:
        verdicts(judge, ODD, [("1", "1"), ("1", "2")])
    (file,) = tmp_path.rglob("*.txt")
    lines = file.read_text().splitlines()
    file.write_bytes(f"{lines[0]}\n\x00\x00\xff\n{lines[1][:-1]}".encode("latin-1"))
    cache = Cache(tmp_path, ODD)
    cache.load()
    assert list(cache.known) == [lines[0][:32]]


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        from boundary_bench.grading import Ruling, Verdict
        from test_judging import ODD, Cache
        cache = Cache(Path(sys.argv[1]), ODD)
        cache.load()
        for i in range(2000):
            cache.put(sys.argv[2], str(i), Ruling(Verdict.CORRECT, "read as \\"x\\""))
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
    writers = [subprocess.Popen([*command, name], **HERE) for name in ("a", "b", "c")]
    assert [writer.wait(120) for writer in writers] == [0, 0, 0]
    cache = Cache(tmp_path, ODD)
    cache.load()
    assert len(cache.known) == 6000 and cache.get("b", "1999") == (C, 'read as "x"')


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with Judge(tmp_path / "file") as judge, pytest.raises(StoreError, match="cannot write grades"):
        verdicts(judge, ODD, [("1", "1")])
