"""The counts of a policy from stored files: every problem with its samples, graded by us or as the file says.

Axes: P problems.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from boundary_bench.benchmarks.overlap import normal
from boundary_bench.core.errors import DataError, StudyError, did_you_mean
from boundary_bench.grading import Grade, Grader, JudgeAll, Verdict, grade_many
from boundary_bench.grading.graders import THEIRS
from boundary_bench.sampling.stored.reading import Placed, Reader, theirs, truth
from boundary_bench.sampling.stored.rows import Counted, Stored

SHOWN = 3  # examples in a message
#: Verdicts without a decision about an answer.
UNDECIDED = (Verdict.TRUNCATED, Verdict.TIMEOUT)


@dataclass
class StoredProblem:
    """A problem of a file.

    Attributes:
        verdicts: by sample index.
        texts: hashes of its distinct responses.
        compared, disputed: samples that have a score in the file as well as our grade, and those that differ.
        counts: n and c, where the file has no single samples.
    """

    question: str
    gold: str
    group: str
    verdicts: dict[int, Verdict] = field(default_factory=dict)
    texts: set[int] = field(default_factory=set)
    disputed: int = 0
    compared: int = 0
    counts: tuple[int, int] | None = None


@dataclass(frozen=True)
class StoredPolicy:
    """A policy as its files tell it.

    Attributes:
        policy: what the files call it, "" where they hold one policy.
        content: a key of all that the files say.
        problems: by the name of the problem in the files, or by its question where it has none; in their order.
        graded: the label of our grader; None where the file's own scores are counted.
    """

    name: str
    policy: str
    files: tuple[Path, ...]
    content: bytes
    problems: dict[str, StoredProblem]
    graded: str | None

    @property
    def verdicts(self) -> Counter[Verdict]:
        """How many samples have each verdict."""
        return Counter(verdict for problem in self.problems.values() for verdict in problem.verdicts.values())


def read_policies(
    files: Sequence[Path],
    places: Mapping[str, str],
    grader: Grader | None,
    judge: JudgeAll,
    at_least: float | None,
    log: Callable[[str], None],
) -> list[StoredPolicy]:
    """Read the policies of some files that belong together, such as one file a seed.

    Args:
        grader: grades the responses; None: the scores of the files count.
        at_least: scores from here on are correct; None: scores are truth values, or 0 and 1.

    Raises:
        DataError: a file cannot be read, or a row does not say what is needed; two files hold the same responses; a
            sample is there twice.
    """
    policies: dict[str, dict[str, StoredProblem]] = {}
    reader = Reader(places, log)
    for file, some in reader.batches(files):
        for each, grade in zip(some, _grades(some, grader, judge, at_least, file), strict=True):
            row, problems = each.row, policies.setdefault(each.row.policy, {})
            known = problems.setdefault(each.name, StoredProblem(row.question, row.gold, row.group))
            if isinstance(row, Counted):
                known.counts = row.n, row.c
                continue
            assert grade is not None
            known.verdicts[each.index] = grade.verdict
            if row.text is not None:
                known.texts.add(hash(row.text))
            if row.score is not None and grade.reason != THEIRS and grade.verdict not in UNDECIDED:
                known.compared += 1
                known.disputed += truth(row, at_least, file) != (grade.verdict is Verdict.CORRECT)
    graded = grader.label if grader else None
    found = [
        StoredPolicy(name or _stem(files), name, tuple(files), reader.content, problems, graded)
        for name, problems in policies.items()
    ]
    for policy in filter(_chanceless, found):
        log(
            f"{policy.name}: every response to a problem is the same text: at temperature 0 they are no samples, and "
            "say nothing of pass@k beyond k = 1"
        )
    return found


def _chanceless(policy: StoredPolicy) -> bool:
    """Whether all responses to a problem are equal, as at temperature 0."""
    several = [problem for problem in policy.problems.values() if len(problem.verdicts) > 1 and problem.texts]
    return bool(several) and all(len(problem.texts) == 1 for problem in several)


def _stem(files: Sequence[Path]) -> str:
    """A name for the policy of some files; of YAML files, one for a problem, their folder's."""
    if len(files) > 1 and files[0].suffix.lower() in (".yaml", ".yml"):
        return files[0].absolute().parent.name
    return files[0].stem if len(files) == 1 else f"{files[0].stem} and {len(files) - 1} more"


def _grades(
    some: Sequence[Placed], grader: Grader | None, judge: JudgeAll, at_least: float | None, file: Path
) -> list[Grade | None]:
    """The grade of every response, None for counts."""
    rows = [each.row for each in some]
    single = [row for row in rows if isinstance(row, Stored)]
    if grader is None:
        grades = iter([theirs(row, at_least, file) for row in single])
    else:
        for row in single:
            if row.text is None or not row.gold:
                what = "response" if row.text is None else "reference answer (gold)"
                raise DataError(
                    f"{file}: row {row.row} has no {what}, expected one to grade; --columns names its place, "
                    "where it has one; or drop --grader"
                )
        golds, texts = ([getattr(row, name) for row in single] for name in ("gold", "text"))
        grades = iter(grade_many(grader, golds, texts, [row.ended is not False for row in single], judge))
    return [next(grades) if isinstance(row, Stored) else None for row in rows]


def chosen_of(policies: Sequence[StoredPolicy], names: str | None) -> list[StoredPolicy]:
    """One or two policies: those of a text like ``BASE,OTHER``, or all.

    Raises:
        StudyError: there are more than two, or none of a name.
    """
    if len({policy.name for policy in policies}) < len(policies):
        policies = [replace(policy, name=str(policy.files[0])) for policy in policies]
    by_name = {policy.name: policy for policy in policies}
    wanted = [by_name.get(name.strip(), name) for name in names.split(",")] if names else list(policies)
    for each in wanted:
        if isinstance(each, str):
            raise StudyError(f"--policies: no policy {each!r} in the files; {did_you_mean(each, by_name)}")
    if not 1 <= len(wanted) <= 2:
        raise StudyError(
            f"found the policies {', '.join(policy.name for policy in policies)}, expected one, or a base and another "
            "one; --policies BASE,OTHER chooses"
        )
    return [each for each in wanted if not isinstance(each, str)]


def _check_alike(base: StoredPolicy, other: StoredPolicy) -> None:
    """Refuse problems of equal names, such as 0, 1, 2, with other questions or mostly other answers."""
    pairs = [(name, each, other.problems[name]) for name, each in base.problems.items()]
    asked = [pair for pair in pairs if pair[1].question and pair[2].question]
    odd = [name for name, one, two in asked if normal(one.question) != normal(two.question)]
    if not asked:
        golds = [(name, one.gold, two.gold) for name, one, two in pairs if one.gold and two.gold]
        odd = [name for name, one, two in golds if one != two]
        odd = odd if 2 * len(odd) > len(golds) else []  # harnesses write some answers in their own way
    if odd:
        what = "questions" if asked else "reference answers"
        raise DataError(
            f"{base.name} and {other.name} have the same names for problems with other {what} ({len(odd)} of "
            f"{len(pairs)}, such as {odd[0]!r:.60}), expected the same problems; are they of two benchmarks?"
        )


def paired(base: StoredPolicy, other: StoredPolicy, log: Callable[[str], None]) -> StoredPolicy:
    """The other policy with its problems named and ordered as the base's: by name, else by question.

    Raises:
        DataError: a problem of one has no partner in the other, or more than one; the message counts them. Or both
            have the same samples.
    """
    if base.content == other.content and (base.name == other.name or base.files != other.files):
        raise DataError(f"{base.name} and {other.name} hold the same samples, expected those of two policies")
    if base.problems.keys() == other.problems.keys():
        _check_alike(base, other)
        return replace(other, problems={name: other.problems[name] for name in base.problems})
    by_question: dict[str, list[str]] = {}
    for name, problem in other.problems.items():
        by_question.setdefault(normal(problem.question), []).append(name)
    found = {name: by_question.get(normal(each.question), []) for name, each in base.problems.items() if each.question}
    single = {name: names[0] for name, names in found.items() if len(names) == 1}
    alone = [name for name in base.problems if name not in single]
    others = sorted(other.problems.keys() - set(single.values()))
    if alone or others or len(set(single.values())) < len(single):
        examples = [f"{name[:60]!r}" for name in (*alone[:SHOWN], *others[:SHOWN])]
        raise DataError(
            f"{base.name} and {other.name} have {len(base.problems)} and {len(other.problems)} problems, "
            f"{len(single)} of them the same by name or question, expected the same ones: {len(alone)} of the first "
            f"and {len(others)} of the second have no single partner, such as {', '.join(examples)}"
        )
    log(f"{len(single)} problems have other names in {other.name} and the same questions")
    return replace(other, problems={name: other.problems[single[name]] for name in base.problems})
