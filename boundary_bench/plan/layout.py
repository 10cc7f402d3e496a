"""The paths of a study's files. A name that is not given stays a wildcard: rules and stages share the patterns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from boundary_bench.core.provenance import fingerprint


class Layout:
    """The files below ``root``; runs and policies may be given as objects or by name.

    Attributes:
        root: the folder of the study's results.
        shard_count: jobs that share the problems of one policy on one benchmark.
    """

    root: Path
    shard_count: int

    def problems(self, benchmark: str = "{benchmark}") -> Path:
        """The problem file of a benchmark."""
        return self.root / "problems" / f"{benchmark}.parquet"

    def overlap(self, benchmark: str = "{benchmark}") -> Path:
        """The overlap of a benchmark with the training set and with itself."""
        return self.root / "problems" / f"{benchmark}.overlap.json"

    def model(self, model: str = "{model}") -> Path:
        """The manifest of a base model."""
        return self.root / "models" / model / "manifest.json"

    def manifest(self, run: object = "{run}", step: int | str = "{step}") -> Path:
        """The manifest of a checkpoint; where it was trained here its step log is beside it."""
        return self.root / "checkpoints" / str(run) / f"step{step}" / "manifest.json"

    def step_log(self, run: object = "{run}", step: int | str = "{step}") -> Path:
        """The step log of the segment that ends in a checkpoint."""
        return self.manifest(run, step).with_name("log.jsonl")

    def shard(self, policy: object = "{policy}", benchmark: str = "{benchmark}", shard: int | str = "{shard}") -> Path:
        """The manifest of one shard of a policy's samples."""
        return self.root / "samples" / str(policy) / benchmark / f"{shard}-of-{self.shard_count}.json"

    def imported(self, policy: object = "{policy}", benchmark: str = "{benchmark}") -> Path:
        """The manifest of a policy's samples that others stored."""
        return self.root / "samples" / str(policy) / benchmark / "imported.json"

    def grades(self, policy: object, benchmark: str, grader: str) -> Path:
        """The verdicts of another grader on a policy's samples."""
        return self.root / "grades" / str(policy) / benchmark / f"{grader}.parquet"

    def measures(self, policy: object = "{policy}", benchmark: str = "{benchmark}") -> Path:
        """The folder of a policy's measures."""
        return self.root / "measures" / str(policy) / benchmark

    def probe(self, policy: object = "{policy}", benchmark: str = "{benchmark}") -> Path:
        """The folder of a policy's results in the contamination probe."""
        return self.root / "probes" / str(policy) / benchmark

    def comparison(self, run: object = "{run}", benchmark: str = "{benchmark}") -> Path:
        """The folder of a run's comparison with its base."""
        return self.root / "comparisons" / str(run) / benchmark

    def log(self, stage: str, *names: str) -> Path:
        """The log of a job's output; a sample job writes machine-readable progress beside it, as .jsonl."""
        *folders, last = stage, *names
        return Path(self.root, "logs", *folders, f"{last}.log")

    @property
    def judgements(self) -> Path:
        """The folder of the graders' cached judgements."""
        return self.root / "store" / "judgements"

    def store(self, stage: str, *names: str, identity: dict[str, Any] | None = None) -> Path:
        """The store folder of a job, never a declared output: named by ``names`` and a fingerprint of the identity.

        Args:
            identity: settings and content that it depends on; None: only the beginning, common to all identities.
        """
        name = "--".join(names)
        return self.root / "store" / stage / (name if identity is None else f"{name}--{fingerprint(identity)}")
