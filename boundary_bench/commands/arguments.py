"""Command lines from signatures: a command is a function, and its parameters are its arguments.

A parameter before ``*`` is positional, one after it an option; one without a default must be given. The type sets how
a word is read: ``Path``, ``int``, ``float``, ``Literal`` (one of some words), ``bool`` (a switch), ``list`` (one word
or more). The text in ``Annotated`` is the help; an empty one hides the option. It uses argparse, since a quickstart
starts a hundred processes: argparse is imported in 3 ms, click in 50, cyclopts in 110, typer in 300.
"""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable, Mapping, Sequence
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

Command = Callable[..., int | None]


def parser(
    program: str, description: str, version: str, groups: Mapping[str, Sequence[Command]], flat: bool = False
) -> argparse.ArgumentParser:
    """The parser of a program; its help lists the commands in groups.

    Args:
        flat: list the commands as argparse does, without groups, for shell completion.
    """
    raw = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser(
        prog=program,
        usage=f"{program} COMMAND ...; {program} COMMAND --help",
        description=description,
        epilog=_listed(groups),
        formatter_class=raw,
    )
    top.add_argument("--version", action="version", version=version)
    commands = top.add_subparsers(
        prog=program, dest="command", required=True, metavar="COMMAND", help="one of those below"
    )
    for command in (each for group in groups.values() for each in group):
        said = {"help": summary(command)} if flat else {}
        sub = commands.add_parser(name_of(command), description=inspect.getdoc(command), formatter_class=raw, **said)
        sub.set_defaults(chosen=command)
        for parameter in _parameters(command):
            _add(sub, parameter)
    return top


def call(arguments: argparse.Namespace) -> int:
    """Run the chosen command; returns its exit code."""
    chosen: Command = arguments.chosen
    return chosen(**{each.name: getattr(arguments, each.name) for each in _parameters(chosen)}) or 0


def name_of(thing: Command | inspect.Parameter) -> str:
    """The name of a command or an option, without the underscore that keeps it apart from a name of Python."""
    name = thing.name if isinstance(thing, inspect.Parameter) else thing.__name__
    return name.rstrip("_").replace("_", "-")


def summary(command: Command) -> str:
    """The first line of a command's docstring."""
    return (command.__doc__ or "").partition("\n")[0]


def _parameters(command: Command) -> list[inspect.Parameter]:
    return list(inspect.signature(command, eval_str=True).parameters.values())


def _listed(groups: Mapping[str, Sequence[Command]]) -> str:
    width = max(len(name_of(command)) for group in groups.values() for command in group)
    lines = []
    for title, group in groups.items():
        lines += ["", f"{title}:", *(f"  {name_of(each):<{width}}  {summary(each)}" for each in group)]
    return "\n".join(lines[1:])


def _add(sub: argparse.ArgumentParser, parameter: inspect.Parameter) -> None:
    kind, text = parameter.annotation, None
    if get_origin(kind) is Annotated:
        kind, text = get_args(kind)[:2]
    kinds = [kind] if get_origin(kind) in (Literal, list) else [each for each in get_args(kind) if each is not NoneType]
    kind = kinds[0] if kinds else kind
    needed, usual = parameter.default is parameter.empty, parameter.default
    said = text if needed or not text or usual in (None, False) else f"{text} ({usual})"
    words: dict[str, Any] = {"help": argparse.SUPPRESS if said == "" else said}
    if kind is bool:
        words["action"] = "store_true"
    elif get_origin(kind) is list:
        words |= {"type": get_args(kind)[0], "nargs": "+"}
    elif get_origin(kind) is Literal:
        words["choices"] = get_args(kind)
    else:
        words["type"] = kind
    if parameter.kind is parameter.KEYWORD_ONLY:
        given = {"required": True} if needed else {"default": usual}
        sub.add_argument(f"--{name_of(parameter)}", dest=parameter.name, **given, **words)
    else:
        sub.add_argument(parameter.name, **words, **({} if needed else {"nargs": "?", "default": usual}))
