"""Judgements that outlive a process: an answer is judged once, in whichever job it first appears.

A folder a grader with its versions, in it one file a process that only this process appends to, so that no lock is
needed on any file system. A line is a hash of (reference, answer), the verdict and its reason; what a crash tore is
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
    """The judgements of one grader, those of other processes up to now included.

    Attributes:
        folder: the parent of every grader's folder.
    """

    folder: Path
    grader: Grader
    known: dict[str, Ruling] = field(default_factory=dict)
    file: TextIO | None = None

    @property
    def place(self) -> Path:
        """Where the judgements of this grader and these library versions are."""
        return self.folder / f"{self.grader.name}-{fingerprint(self.grader.identity)}"

    def load(self) -> None:
        """Read what is there.

        Raises:
            StoreError: a file cannot be read.
        """
        try:
            for file in sorted(self.place.glob("*.txt")):
                for found in LINE.finditer(file.read_text(encoding="ascii", errors="replace")):
                    self.known[found[1]] = Ruling(Verdict(found[2]), json.loads(found[3]))
        except OSError as fault:
            raise StoreError(f"cannot read the grades in {self.place}: {fault.strerror or fault}") from None

    def get(self, reference: str, answer: str) -> Ruling | None:
        """The ruling, where it is known."""
        return self.known.get(key(reference, answer))

    def put(self, reference: str, answer: str, ruling: Ruling) -> None:
        """Keep a ruling; a timeout in memory alone, since another day or machine may decide it."""
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
        """End the writing."""
        if self.file is not None:
            self.file.close()
            self.file = None
