"""Settings of training: base models from scratch, and runs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from boundary_bench.study.backends import BACKENDS, OpenRLHF, Trl
from boundary_bench.study.blocks import Block, Columns, Execution, KindName, Launched, Name, Steps

#: Vocabulary size of a model made from scratch: its characters, padded to a power of two.
VOCABULARY = 32
#: Settings of the training problems; ``course`` leaves them out, since content identifies the problems.
OF_PROBLEMS = ("benchmark", "options", "data", "columns", "template")


class Pretrain(Block):
    """A small base model made from scratch on solutions of a benchmark's train split."""

    benchmark: Name = Field(description="benchmark kind whose train split supplies the solutions")
    steps: int = Field(1000, ge=1, description="optimizer steps")
    batch: int = Field(128, ge=1, description="solutions per step")
    numbers: dict[Annotated[int, Field(ge=2, le=6)], Annotated[float, Field(gt=0)]] = Field(
        {3: 1, 4: 3, 5: 2}, min_length=1, description="weight of each problem size in the data"
    )
    architecture: Literal["llama", "qwen2"] = Field("llama", description="Hugging Face model type")
    hidden: int = Field(96, ge=8, description="width of the residual stream")
    layers: int = Field(3, ge=1, description="number of transformer layers")
    heads: int = Field(3, ge=1, description="query heads (one key-value head)")
    lr_muon: float = Field(0.02, gt=0, description="learning rate of Muon on the weight matrices")
    lr_adamw: float = Field(1.5e-2, gt=0, description="learning rate of AdamW on everything else")
    seed: int = Field(0, ge=0)

    @property
    def inner(self) -> int:
        """Width of the feed-forward layers."""
        return self.hidden * 8 // 3

    @property
    def parameters(self) -> int:
        """Parameters of the model."""
        wide, narrow = self.hidden, self.hidden // self.heads  # widths of all query heads, of the key-value head
        biases = wide + 2 * narrow if self.architecture == "qwen2" else 0
        layer = 2 * wide * (wide + narrow) + biases + 3 * wide * self.inner + 2 * wide
        return self.layers * layer + wide * (2 * VOCABULARY + 1)

    @model_validator(mode="after")
    def _whole_heads(self) -> Pretrain:
        unit = 2 * self.heads
        if self.hidden % unit:
            raise ValueError(
                f"hidden: {self.hidden} does not split into heads: {self.heads} of an even width; "
                f"write a multiple of {unit}, e.g. hidden: {-(-self.hidden // unit) * unit}"
            )
        return self


class RandomReward(Block):
    """A reward that knows nothing of the response."""

    random: float = Field(gt=0, lt=1, description="probability of reward 1")


class Training(Launched):
    """How every run is trained. Segment boundaries are the checkpoints that are kept."""

    backend: Literal["reference", "openrlhf", "trl"] = Field("reference", description="trainer")
    openrlhf: OpenRLHF = Field(OpenRLHF(), description="settings of the backend openrlhf")
    trl: Trl = Field(Trl(), description="settings of the backend trl")
    benchmark: KindName = Field(description="benchmark kind whose train split supplies the prompts and rewards")
    options: dict[str, Any] = Field({}, description="options of the train split, as in benchmarks.<name>.options")
    data: str | None = Field(None, description="a local file or folder with the problems, as in benchmarks.<name>.data")
    columns: Columns | None = Field(None, description="as in benchmarks.<name>.columns")
    template: Name | None = Field(None, description="prompt template; by default the kind's")
    segments: Execution[Steps] = Field(
        min_length=1, description="steps at which a checkpoint is kept; one job trains one segment"
    )
    prompts: int = Field(16, ge=1, description="prompts per rollout step")
    rollouts: int = Field(16, ge=2, description="responses per prompt (the group)")
    updates_per_rollout: int = Field(2, ge=1, description="optimizer updates per rollout step: 1 is strictly on-policy")
    epochs: int = Field(1, ge=1, description="passes over each rollout batch; each makes updates_per_rollout updates")
    lr: float = Field(1.5e-4, gt=0, description="learning rate of AdamW, constant after the warm-up")
    warmup: int = Field(5, ge=0, description="steps of linear warm-up")
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(1.0, gt=0, description="global gradient-norm clip")
    reward: Literal["correct", "format"] | RandomReward = Field(
        "correct", description="correct; or a control: format (an answer is there), {random: p} (1 with probability p)"
    )
    temperature: float = Field(1.0, gt=0, description="temperature of the rollouts")
    max_tokens: int = Field(64, ge=1, description="longest response, in tokens")
    state_every: Execution[int] = Field(
        10,
        ge=1,
        description="steps between saved trainer states: what a SIGKILL can cost; "
        "with openrlhf the nearest divisor of the segment's last step",
    )
    device: Execution[Literal["cpu", "cuda"]] = Field("cpu", description="torch device")

    @field_validator("segments")
    @classmethod
    def _positive(cls, steps: list[int]) -> list[int]:
        if steps[0] < 1:
            raise ValueError(f"found step {steps[0]}, expected 1 or more (step 0 is the base model)")
        return steps

    @model_validator(mode="after")
    def _minibatches(self) -> Training:
        if (self.prompts * self.rollouts) % self.updates_per_rollout:
            raise ValueError(
                f"updates_per_rollout: {self.updates_per_rollout} does not divide prompts x rollouts = "
                f"{self.prompts} x {self.rollouts}; choose a divisor"
            )
        return self

    @model_validator(mode="after")
    def _backend_fits(self) -> Training:
        for name, backend in BACKENDS.items():
            if self.backend != name and backend.settings and getattr(self, name) != backend.settings():
                raise ValueError(
                    f"found settings of {name} with backend: {self.backend}; drop them, or write backend: {name}"
                )
        if self.trl.vllm and self.device == "cpu":
            raise ValueError("found trl.vllm: true with device: cpu, expected device: cuda; drop one of them")
        return self

    @model_validator(mode="after")
    def _gpus_share(self) -> Training:
        own = self.openrlhf
        world = own.nodes * own.gpus
        if self.backend != "openrlhf":
            return self
        if self.per_update % world:
            raise ValueError(
                f"openrlhf.nodes x gpus: {own.nodes} x {own.gpus} do not share the {self.per_update} responses of an "
                "update (prompts x rollouts / updates_per_rollout) evenly; change one of them"
            )
        if own.colocate and own.vllm_engines * own.tensor_parallel != world:
            raise ValueError(
                f"openrlhf.engines x tensor_parallel: {own.vllm_engines} x {own.tensor_parallel}, expected "
                f"{world} (nodes x gpus), as vLLM shares the GPUs; change them, or write colocate: false"
            )
        return self

    def course(self, usual: bool = False) -> dict[str, Any]:
        """The identity of training on given problems, without segments: a longer run begins with a shorter one."""
        return {name: value for name, value in self.identity(usual).items() if name not in OF_PROBLEMS}

    @property
    def needs_environment(self) -> bool:
        """Whether the backend needs an environment of its own."""
        return BACKENDS[self.backend].environment is not None

    @property
    def gpus(self) -> int:
        """GPUs of one job, on all its machines together."""
        if self.device == "cpu":
            return 0
        return self.openrlhf.gpus_needed if self.backend == "openrlhf" else 1

    @property
    def gpus_each(self) -> int:
        """GPUs of one job on one machine."""
        return self.openrlhf.gpus_each if self.device == "cuda" and self.backend == "openrlhf" else self.gpus

    @property
    def per_update(self) -> int:
        """Responses of one optimizer update."""
        return self.prompts * self.rollouts // self.updates_per_rollout
