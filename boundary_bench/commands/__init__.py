"""The command line: a command for each stage, and commands for users.

Exit codes: 0 done; 1 ``diff`` found that something moved; 2 a message for the user; 85 stopped by a signal with
everything saved, run the same again; 130 ended by Ctrl-C; 141 the output pipe was closed.
"""

from __future__ import annotations

import inspect
import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Annotated, Any, Literal

from boundary_bench import __version__
from boundary_bench.commands import arguments, stages, tools
from boundary_bench.commands.tools import RESULTS, Results, Study
from boundary_bench.core.errors import EXIT_RUN_AGAIN, EXIT_USER_ERROR, BoundaryBenchError, Interrupted, StudyError
from boundary_bench.core.text import plain
from boundary_bench.plan import make_plan
from boundary_bench.plan.stages import STAGES, identity

DESCRIPTION = """Does RL with verifiable rewards shrink or expand what a language model can solve?

A study runs with: snakemake --cores all --config study=STUDY"""


def of_stage(name: str) -> arguments.Command:
    """The command of a stage: its function, with the study as argument and the wildcards as options."""
    function = stages.function_of(name)

    def command(study: str, results: Path, settings: str | None, **values: Any) -> None:
        plan = make_plan(study, results)
        stages.check_names(plan, name, values)
        if settings not in (None, found := identity(plan, name, *values.values())):
            raise StudyError(
                f"the study has changed while the workflow runs: settings {found}, planned with {settings}; start "
                "snakemake again"
            )
        function(plan, **values)

    def parameter(name: str, kind: Any, **words: Any) -> inspect.Parameter:
        return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, **words)

    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
    command.__name__, command.__doc__ = name, function.__doc__
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter("study", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Study),
            parameter("results", Results, default=RESULTS),
            parameter("settings", Annotated[str | None, ""], default=None),
            *(parameter(each.name, each.annotation, default=each.default) for each in own),
        ]
    )
    return command


def completion(shell: Literal["bash", "zsh", "tcsh"]) -> None:
    """Print what makes a shell complete commands and options: eval "$(boundary-bench completion bash)"."""
    import shtab

    print(shtab.complete(parser(flat=True), shell))


def parser(flat: bool = False) -> ArgumentParser:
    """The parser of the command line; see ``arguments.parser``."""
    groups = {
        "before a study runs": (tools.doctor, tools.forecast, tools.check, tools.new, tools.env, tools.schema),
        "while it runs": (tools.status,),
        "with its results": (tools.claims, tools.diff, tools.regrade, tools.export, tools.publish),
        "with models and answers that exist": (tools.eval_, tools.passk, tools.grade, tools.explain),
        "stages, which the workflow calls": [of_stage(name) for name in STAGES],
        "shells": (completion,),
    }
    return arguments.parser("boundary-bench", DESCRIPTION, __version__, groups, flat)


def main(argv: list[str] | None = None) -> int:
    """Run one command; errors a user can cause are printed without a traceback."""
    asked = parser().parse_args(argv)
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # the stages print their own progress
    try:
        done = arguments.call(asked)
        sys.stdout.flush()
    except Interrupted as stop:
        print(f"boundary-bench: {stop}", file=sys.stderr)
        return EXIT_RUN_AGAIN
    except BoundaryBenchError as fault:
        # an error may quote what a file says
        print("boundary-bench:", "\n".join(map(plain, str(fault).split("\n"))), file=sys.stderr)
        return EXIT_USER_ERROR
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader closed the pipe, as in `boundary-bench forecast STUDY | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return done


if __name__ == "__main__":
    sys.exit(main())
