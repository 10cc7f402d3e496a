"""Judgements that outlive a process: an answer is judged once, in whichever job it first appears.

Every grader with its versions has a folder, and every process appends to its own file in it, so that no lock is needed
on any file system. A line holds a hash of (reference, answer), the verdict and its reason; a line torn by a crash is
judged anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from boundary_bench.core.errors import StoreError
from boundary_bench.core.provenance import fingerprint
from boundary_bench.grading import VERDICTS, Grader, Ruling, Verdict

LINE = re.compile(rf'^([0-9a-f]{{32}}) ({"|".join(VERDICTS)}) ("(?:[^"\\\n]|\\.)*")$', re.MULTILINE)


def key(reference: str, answer: str) -> str:
    """A hash of a reference and an answer."""
    return hashlib.blake2b(json.dumps([reference, answer]).encode(), digest_size=16).hexdigest()


@dataclass
class Cache:
    """The judgements of one grader, including those of other processes up to ``load``.

    Attributes:
        folder: the parent of every grader's folder.
    """

    folder: Path
    grader: Grader
    known: dict[str, Ruling] = field(default_factory=dict)
    file: TextIO | None = None

    @property
    def place(self) -> Path:
        """The folder for this grader and these library versions."""
        return self.folder / f"{self.grader.name}-{fingerprint(self.grader.identity)}"

    def load(self) -> None:
        """Read all judgements on disk."""
        try:
            for file in sorted(self.place.glob("*.txt")):
                for found in LINE.finditer(file.read_text(encoding="ascii", errors="replace")):
                    self.known[found[1]] = Ruling(Verdict(found[2]), json.loads(found[3]))
        except OSError as fault:
            raise StoreError(f"cannot read the grades in {self.place}: {fault.strerror or fault}") from None

    def get(self, reference: str, answer: str) -> Ruling | None:
        """The ruling, or None if it is unknown."""
        return self.known.get(key(reference, answer))

    def put(self, reference: str, answer: str, ruling: Ruling) -> None:
        """Store a ruling; a timeout only in memory, since it may be decided on another day or machine."""
        name = key(reference, answer)
        self.known[name] = ruling
        if ruling.verdict is Verdict.TIMEOUT:
            return
        try:
            if self.file is None:
                self.place.mkdir(parents=True, exist_ok=True)
                who = f"{os.uname().nodename}-{os.getpid()}-{secrets.token_hex(4)}.txt"
                self.file = open(self.place / who, "a", encoding="ascii", buffering=1)  # noqa: SIM115
            self.file.write(f"{name} {ruling.verdict} {json.dumps(ruling.reason)}\n")
        except OSError as fault:
            raise StoreError(
                f"cannot write grades to {self.place}: {fault.strerror or fault}; is the folder writable, is the disk "
                "full?"
            ) from None

    def close(self) -> None:
        """Close the file."""
        if self.file is not None:
            self.file.close()
            self.file = None
