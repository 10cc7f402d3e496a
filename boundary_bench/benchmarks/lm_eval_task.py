"""Any lm-eval task of type generate_until, as ``lm_eval:TASK`` or ``lm_eval:TASK@FILTER``; TASK may be a YAML file.

Prompt, few-shot examples, target, filter and metric come from the task's own definition, read and computed by lm-eval.
A task with a verdict other than exact match after plain text filters is refused by name.

Answer form: the text that the task's filter (by default its first) extracts from a response.
Trap: a task's YAML may name Python functions, which lm-eval runs; take only files you trust.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from pydantic import Field

from boundary_bench.benchmarks.base import Kind, Options, Problem, Split
from boundary_bench.core.errors import DataError, StudyError
from boundary_bench.core.provenance import file_sha256
from boundary_bench.grading import NO_ANSWER, Grader, Nothing, Ruling, Verdict

FILTERS = ("regex", "take_first", "remove_whitespace", "lowercase", "uppercase")
#: Result of an unmatched regex in lm-eval.
NO_MATCH = "[invalid]"
LONGEST_RESPONSE = 50_000
TOO_LONG = Nothing(f"limit: a response of more than {LONGEST_RESPONSE:,} characters")
#: A usable stop string has a line break or is a special token (``</s>``, ``<|im_end|>``): words occur in solutions.
STOP = re.compile(r"(?s).*\n.*|</?[A-Za-z_]+>|<\|[^\s|]+\|>")
#: Forms of a target, to find one that the task's filter recognises.
FORMS = ("{}", "The answer is {}.", "The answer is ({}).", "#### {}", "Answer: {}", "\\boxed{{{}}}")


class LmEvalOptions(Options):
    """Number of examples in a prompt, and of problems."""

    few_shot: int | None = Field(None, ge=0, description="examples in a prompt; by default as the task says")
    problems: int | None = Field(None, ge=1, description="at most so many, from the first on")


@dataclass(frozen=True)
class Definition:
    """A task without its data: filters, settings of the metric and stop strings."""

    filters: tuple[Any, ...]
    metric: dict[str, Any]
    stop: tuple[str, ...]


def kind(name: str) -> Kind:
    """The kind of a task; lm-eval is imported only for problems, grades or stop strings.

    A task in a file is named by the file's stem and content hash, not by its folder, since verdicts are cached under
    that name.
    """
    task, at, chosen = name.partition("@")
    file = Path(task) if task.endswith((".yaml", ".yml")) else None
    if file and file.is_file():
        task = f"{file.stem}-{file_sha256(file)[:12]}"
    label = f"lm_eval:{task}{at}{chosen}"
    grader = Grader(label, 1, partial(extract, name), partial(judge, name), libraries=("lm_eval",))
    generate = partial(load, name, grader)
    return Kind(
        grader.name,
        1,
        LmEvalOptions(),
        generate,
        None,
        {},
        grader,
        stop=lambda: definition(name).stop,
        definition=file,
    )


def stop_strings(until: list[str]) -> tuple[str, ...]:
    """The stop strings of a task that do not occur in ordinary text.

    >>> stop_strings(["Question:", "</s>", "<|im_end|>", "Q:\\n"])
    ('</s>', '<|im_end|>', 'Q:\\n')
    """
    return tuple(text for text in until if STOP.fullmatch(text))


@lru_cache
def definition(name: str) -> Definition:
    """Filter, metric and stop strings of a task."""
    task, _, chosen = name.partition("@")
    config = _config(task)
    refuse = partial(_refuse, task)
    if config.get("output_type") != "generate_until":
        refuse(f"its output_type is {config.get('output_type')}, expected generate_until")
    if config.get("process_results"):
        refuse("it grades by a function of its own (process_results)")
    metrics = {
        metric["metric"]: metric for metric in config.get("metric_list") or [] if isinstance(metric["metric"], str)
    }
    if "exact_match" not in metrics:
        refuse(f"its metrics are {', '.join(metrics) or 'none'}, expected exact_match")
    pipelines = {each["name"]: each["filter"] for each in config.get("filter_list") or []}
    if chosen and chosen not in pipelines:
        refuse(f"it has no filter {chosen!r}, but {', '.join(pipelines) or 'none'}")
    steps = pipelines[chosen or next(iter(pipelines))] if pipelines else [{"function": "take_first"}]
    odd = [step["function"] for step in steps if step["function"] not in FILTERS]
    if odd:
        refuse(f"its filter uses {odd[0]}, expected {', '.join(FILTERS)}")
    settings = {"ignore_case", "ignore_punctuation", "ignore_numbers", "regexes_to_ignore"}
    until = (config.get("generation_kwargs") or {}).get("until", [])
    return Definition(
        tuple(_filter(step) for step in steps if step["function"] != "take_first"),
        {key: value for key, value in metrics["exact_match"].items() if key in settings},
        stop_strings([until] if isinstance(until, str) else until),
    )


def _refuse(task: str, reason: str) -> None:
    raise StudyError(f"lm_eval:{task} cannot be used: {reason}; choose another task, or write a kind of your own")


def _library() -> Any:
    try:
        import lm_eval.tasks
    except ImportError as fault:
        raise StudyError(
            f"kinds lm_eval:... need lm-eval, which does not load here ({fault}); "
            "run: pip install 'boundary-bench[eval]'"
        ) from None
    return lm_eval.tasks


@lru_cache
def _manager() -> Any:
    return _library().TaskManager()


def _config(task: str) -> dict[str, Any]:
    _library()
    from lm_eval.tasks._yaml_loader import load_yaml

    if Path(task).suffix in (".yaml", ".yml"):
        if not Path(task).is_file():
            raise StudyError(f"lm_eval:{task}: there is no such file")
        path = Path(task)
    elif task in _manager().all_subtasks:
        path = _manager().task_index[task].yaml_path
    else:
        raise StudyError(f"lm_eval:{task}: lm-eval has no task of that name; lm-eval ls tasks lists them")
    try:
        return load_yaml(path)
    except Exception as fault:  # a task's file may import anything
        raise StudyError(f"lm_eval:{task}: its definition {path} cannot be read: {fault}") from None


def _filter(step: dict[str, Any]) -> Callable[..., Any]:
    from lm_eval.api.registry import get_filter

    return get_filter(step["function"])(**{key: value for key, value in step.items() if key != "function"})


def extract(name: str, response: str) -> str | Nothing:
    """The text that the task's filter extracts from a response."""
    if len(response) > LONGEST_RESPONSE:
        return TOO_LONG
    found = [response]
    for each in definition(name).filters:
        found = next(iter(each.apply([found], [{}])))
    return NO_ANSWER if found[0] in (NO_MATCH, "") else found[0]


def judge(name: str, reference: str, answer: str) -> Ruling:
    """Correct if the task's metric is 1 for one of the targets."""
    from lm_eval.api.metrics import exact_match_fn

    settings = definition(name).metric
    right = (
        exact_match_fn(references=[target], predictions=[answer], **settings)["exact_match"] == 1
        for target in json.loads(reference)
    )
    correct = any(right)
    return Ruling(Verdict.CORRECT if correct else Verdict.WRONG, f"{'' if correct else 'no '}exact match")


def load(name: str, grader: Grader, split: Split, seed: int, options: LmEvalOptions) -> list[Problem]:
    """The problems of a task; the seed draws the few-shot examples if the task draws them.

    Raises:
        StudyError: the task is refused, or has no such split.
        DataError: its data set cannot be loaded, or no response to a problem grades correct.
    """
    definition(name)
    task = _task(name.partition("@")[0])
    has, documents = {
        "train": (task.has_training_docs, task.training_docs),
        "dev": (task.has_validation_docs, task.validation_docs),
        "test": (task.has_test_docs, task.test_docs),
    }[split]
    if not has():
        raise StudyError(f"lm_eval:{name} has no {split} split; choose another split")
    few_shot = options.few_shot if options.few_shot is not None else task.config.num_fewshot or 0
    task.set_fewshot_seed(seed)
    problems = []
    for number, document in enumerate(documents()):
        if number == options.problems:
            break
        prompt = task.fewshot_context(document, few_shot)
        problems.append(_problem(name, grader, prompt, _targets(task, document), number))
    return list({problem.id: problem for problem in problems}.values())


def _task(task: str) -> Any:
    import datasets

    datasets.disable_progress_bars()
    try:
        (found,) = _manager().load(task)["tasks"].values()
    except Exception as fault:  # whatever datasets raises
        reason = (str(fault).strip() or type(fault).__name__).splitlines()[0]
        raise DataError(f"lm_eval:{task}: the task or its data set cannot be loaded: {reason}") from None
    return found


def _targets(task: Any, document: dict[str, Any]) -> list[str]:
    target = task.doc_to_target(document)
    if task.config.doc_to_choice is not None and isinstance(target, int):
        target = task.doc_to_choice(document)[target]
    return [str(each) for each in (target if isinstance(target, list) else [target])]


def _problem(name: str, grader: Grader, prompt: Any, targets: list[str], number: int) -> Problem:
    if not isinstance(prompt, str):
        raise StudyError(f"lm_eval:{name}: a prompt is a {type(prompt).__name__}, expected text")
    reference = json.dumps(targets)
    for solution in (form.format(target) for target in targets for form in FORMS):
        if grader.grade(reference, solution).verdict is Verdict.CORRECT:
            return Problem(prompt, reference, solution)
    raise DataError(f"lm_eval:{name}, problem {number}: its own filter and metric mark its target {targets} as wrong")
