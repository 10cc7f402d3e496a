"""The lease of a store: one writer at a time, whatever happens to it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from training import quiet

from boundary_bench.core.errors import StoreError, TrainingError
from boundary_bench.core.files import atomic, write_text
from boundary_bench.core.locks import lease

HOLD = """
import sys
from pathlib import Path
from boundary_bench.core.locks import lease

store, released, *shard = sys.argv[1:]
store, released = Path(store), Path(released)
say = lambda line: print(line, flush=True)
with lease(store, say, *map(int, shard)):
    say(f"in {released.exists()}")
    sys.stdin.readline()
say("out")
"""


@contextmanager
def another_process(store: Path, released: Path, *shard: int) -> Iterator[subprocess.Popen[str]]:
    """A process that takes the lease and holds it until it is sent a line; ended here if all else fails."""
    command = [sys.executable, "-c", HOLD, str(store), str(released), *map(str, shard)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    guard = threading.Timer(60, process.kill)
    guard.start()
    try:
        yield process
    finally:
        guard.cancel()
        process.kill()
        process.communicate()


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_a_second_process_waits_says_for_whom_and_goes_on(tmp_path: Path) -> None:
    store, released = tmp_path / "store", tmp_path / "released"
    mine = ExitStack()
    mine.enter_context(lease(store, quiet))
    with mine, another_process(store, released) as other:
        waiting = line_of(other)
        assert waiting.startswith("waiting: ") and str(store) in waiting and f"process {os.getpid()} on" in waiting
        released.touch()
        mine.close()
        assert line_of(other) == "in True", "it must not have gone in before"
        end(other)
        assert line_of(other) == "out"
    assert not list(store.glob(".holder*"))


def test_a_holder_that_lets_go_while_it_is_looked_up_is_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "exists", lambda file: True)  # it was there a moment ago
    said: list[str] = []
    with ExitStack() as mine:
        mine.enter_context(lease(tmp_path, quiet))
        (tmp_path / ".holder-1-of-1").unlink()

        def tell(line: str) -> None:
            said.append(line)
            mine.close()

        with lease(tmp_path, tell):
            assert said == [f"waiting: {tmp_path} is in use by another process"]


def test_shards_of_one_number_work_side_by_side_and_another_number_waits(tmp_path: Path) -> None:
    released = tmp_path / "released"
    mine = ExitStack()
    mine.enter_context(lease(tmp_path, quiet, 1, 3))
    with mine, another_process(tmp_path, released, 2, 3) as second:
        assert line_of(second) == "in False", "another shard does not wait"
        with another_process(tmp_path, released, 1, 2) as other:
            assert line_of(other).startswith(f"waiting: {tmp_path} is in use by process")
            released.touch()
            end(second)
            assert line_of(second) == "out"
            mine.close()
            while (line := line_of(other)).startswith("waiting"):
                pass
            assert line == "in True", "it must have waited for both"
            with another_process(tmp_path, released, 1, 3) as late:
                assert line_of(late).startswith("waiting")
                end(other)
                assert line_of(late) == "in True"
                end(late)


def test_the_lease_of_a_killed_process_is_free(tmp_path: Path) -> None:
    with another_process(tmp_path, tmp_path / "released") as first:
        assert line_of(first) == "in False"
        first.kill()
        first.wait()
    with another_process(tmp_path, tmp_path / "released") as second:
        assert line_of(second) == "in False"


def test_a_lease_is_free_after_an_error_inside(tmp_path: Path) -> None:
    with pytest.raises(TrainingError), lease(tmp_path, quiet):
        raise TrainingError("stop")
    with another_process(tmp_path, tmp_path / "released") as other:
        assert line_of(other) == "in False"


def test_a_folder_is_replaced_as_a_whole_and_a_failed_write_keeps_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    for content in ("old", "new"):
        with atomic(target) as temporary:
            temporary.mkdir()
            (temporary / "file").write_text(content)
    assert (target / "file").read_text() == "new"
    with pytest.raises(StoreError, match="cannot write"), atomic(target):
        raise OSError("no room")
    with pytest.raises(StoreError, match="cannot write"), atomic(target):
        pass  # nothing was written: the move fails after the old folder stepped aside
    assert (target / "file").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_file_in_the_way_of_a_folder_is_a_message(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot write .*/file/name: .*; is the folder writable"):
        write_text(tmp_path / "file/name", "text")
