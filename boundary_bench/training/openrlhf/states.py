"""OpenRLHF's own states: the newest sound one, and whether the disk has room for more."""

from __future__ import annotations

import os
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

from boundary_bench.core.errors import StoreError, TrainingError
from boundary_bench.core.files import write_text
from boundary_bench.models.folder import parameters
from boundary_bench.study.backends import BACKENDS, STATES_KEPT


def folder_of(state: Path, step: int) -> Path:
    """OpenRLHF's folder for the state of a step."""
    return state / "_actor" / f"global_step{step}"


def steps_of(state: Path) -> list[int]:
    """The steps with a state, ascending."""
    names = (re.fullmatch(r"global_step(\d+)", path.name) for path in state.glob("_actor/global_step*"))
    return sorted(int(name[1]) for name in names if name)


def latest(state: Path) -> int:
    """The step of the last completely saved state, which DeepSpeed records when it is done; 0 if there is none."""
    try:
        return int((state / "_actor" / "latest").read_text().removeprefix("global_step"))
    except FileNotFoundError:
        return 0


def newest(state: Path, ranks: int, log: Callable[[str], None]) -> int:
    """The step of the newest sound state, marked as the one to load; 0 if none was ever saved.

    An incomplete state of a killed run is removed. A damaged state moves to ``torn/`` (OpenRLHF would count a folder
    beside its states as one of them, and it removes the oldest), and the state before it is taken.

    Args:
        ranks: number of training processes; each has its part of the optimizer.

    Raises:
        TrainingError: states were saved, but none is sound; nothing is changed then.
    """
    whole = latest(state)
    if not whole:
        shutil.rmtree(state / "_actor", ignore_errors=True)
        return 0
    faults: dict[int, str] = {}
    for step in reversed(steps_of(state)):
        if step > whole:
            continue
        fault = damage(folder_of(state, step), ranks)
        if fault is None:
            break
        faults[step] = fault
    else:
        found = "; ".join(f"step {step}: {fault}" for step, fault in faults.items()) or "none"
        raise TrainingError(
            f"no state in {state / '_actor'} is sound: found {found}; expected that of step {whole}, or of one before. "
            f"Put one back from a copy, or delete {state.parent} to train this run from its base"
        )
    for later in [later for later in steps_of(state) if later > step]:
        if later in faults:
            aside = state / "torn" / f"global_step{later}"
            log(f"the state of step {later} is damaged ({faults[later]}) and now {aside}; taking that of step {step}")
            shutil.rmtree(aside.parent, ignore_errors=True)
            aside.parent.mkdir()
            os.replace(folder_of(state, later), aside)
        else:
            shutil.rmtree(folder_of(state, later))
    write_text(state / "_actor" / "latest", f"global_step{step}")
    return step


def damage(folder: Path, ranks: int) -> str | None:
    """The fault of a state, None if it is sound. Every byte is checked against its checksum in the archive."""
    files = sorted(folder.rglob("*.pt"))
    parts = sum("optim_states" in file.name for file in files)
    if parts != ranks:
        return f"{parts} parts of the optimizer, and {ranks} process(es) train (training.openrlhf: nodes x gpus)"
    if not any("model_states" in file.name for file in files):
        return "no weights"
    for file in files:
        try:
            with zipfile.ZipFile(file) as archive:
                bad = archive.testzip()
        except (zipfile.BadZipFile, OSError, EOFError) as fault:
            return f"{file.name}: {fault}"
        if bad:
            return f"{file.name}: {bad} differs from its checksum"
    return None


def check_disk(store: Path, base: Path) -> None:
    """Refuse to train without disk space for the states to be kept and for a checkpoint."""
    missing = max(0, STATES_KEPT - len(steps_of(store / "state")))
    each, weights = BACKENDS["openrlhf"].state_bytes, BACKENDS["openrlhf"].checkpoint_bytes
    need = parameters(base) * (missing * each + 2 * weights)
    free = shutil.disk_usage(store).free
    if free < need:
        raise StoreError(
            f"{store}: training needs {need / 2**30:.1f} GiB there ({missing} more state(s) of {each} bytes a "
            f"parameter, and the checkpoint twice while it is saved), found {free / 2**30:.1f} GiB free; free some, or "
            "choose another --results"
        )
