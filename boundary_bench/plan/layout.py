"""Where the files of a study are. What is not given of a name is a wildcard: so rules and stages share the patterns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from boundary_bench.core.provenance import fingerprint


class Layout:
    """The files below ``root``; runs and policies may be given as such or by name.

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
        """What of a benchmark is also in the training set, or twice in itself."""
        return self.root / "problems" / f"{benchmark}.overlap.json"

    def model(self, model: str = "{model}") -> Path:
        """The manifest of a base model."""
        return self.root / "models" / model / "manifest.json"

    def trained(self, run: object = "{run}", step: int | str = "{step}") -> Path:
        """The manifest of a checkpoint that was trained; beside it is its step log, see ``steps``."""
        return self.root / "checkpoints" / str(run) / f"step{step}" / "manifest.json"

    def steps(self, run: object = "{run}", step: int | str = "{step}") -> Path:
        """The step log of the segment that ends in a checkpoint."""
        return self.trained(run, step).with_name("log.jsonl")

    def shard(self, policy: object = "{policy}", benchmark: str = "{benchmark}", shard: int | str = "{shard}") -> Path:
        """The manifest of one shard of a policy's samples."""
        return self.root / "samples" / str(policy) / benchmark / f"{shard}-of-{self.shard_count}.json"

    def grades(self, policy: object, benchmark: str, grader: str) -> Path:
        """The verdicts of another grader on a policy's samples."""
        return self.root / "grades" / str(policy) / benchmark / f"{grader}.parquet"

    def measures(self, policy: object = "{policy}", benchmark: str = "{benchmark}") -> Path:
        """The folder of a policy's measures."""
        return self.root / "measures" / str(policy) / benchmark

    def probe(self, policy: object = "{policy}", benchmark: str = "{benchmark}") -> Path:
        """The folder of what the contamination probe of a policy found."""
        return self.root / "probes" / str(policy) / benchmark

    def comparison(self, run: object = "{run}", benchmark: str = "{benchmark}") -> Path:
        """The folder of a run's comparison with its base."""
        return self.root / "comparisons" / str(run) / benchmark

    def log(self, stage: str, *names: str) -> Path:
        """What a job prints; beside it, as .jsonl, what a sample job says for programs."""
        *folders, last = stage, *names
        return Path(self.root, "logs", *folders, f"{last}.log")

    @property
    def judgements(self) -> Path:
        """Where graders keep what they have judged."""
        return self.root / "store" / "judgements"

    def store(self, stage: str, *names: str, identity: dict[str, Any] | None = None) -> Path:
        """The store folder of a job, never a declared output: named by what it holds and what that depends on.

        Args:
            identity: what it depends on; without it, the name that the folders of all identities begin with.
        """
        name = "--".join(names)
        return self.root / "store" / stage / (name if identity is None else f"{name}--{fingerprint(identity)}")
