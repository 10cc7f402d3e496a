"""The quickstart's base model: a small causal LM, pre-trained from scratch on solutions of the train split.

It is deliberately undertrained: a base that solves everything has no boundary to move.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from torch import nn

from boundary_bench.benchmarks.base import Kind
from boundary_bench.benchmarks.countdown import ALPHABET
from boundary_bench.core.errors import Interrupted, StudyError
from boundary_bench.study.training import VOCABULARY, Pretrain
from boundary_bench.training import state

PAD, END = 0, 1
LONGEST = 128
MICRO_BATCHES = 4


def character_tokenizer() -> Tokenizer:
    """A tokenizer of one token a character, ids in alphabet order after padding and EOS; no chat template."""
    vocabulary = {"<pad>": PAD, "</s>": END, **{character: i + 2 for i, character in enumerate(ALPHABET)}}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens(["<pad>", "</s>"])
    return tokenizer


def build(settings: Pretrain) -> nn.Module:
    """A Hugging Face model with random weights of the given shape; deterministic in ``settings.seed``."""
    import transformers

    config_of = {"llama": transformers.LlamaConfig, "qwen2": transformers.Qwen2Config}[settings.architecture]
    model_of = {"llama": transformers.LlamaForCausalLM, "qwen2": transformers.Qwen2ForCausalLM}[settings.architecture]
    config = config_of(
        vocab_size=VOCABULARY,
        hidden_size=settings.hidden,
        intermediate_size=settings.inner,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        num_key_value_heads=1,
        max_position_embeddings=LONGEST,
        tie_word_embeddings=False,
        initializer_range=0.02,
        bos_token_id=None,
        eos_token_id=END,
        pad_token_id=PAD,
    )
    torch.manual_seed(settings.seed)
    return model_of(config)


def save(model: nn.Module, tokenizer: Tokenizer, folder: Path) -> None:
    """Write model and tokenizer as a folder that ``AutoModelForCausalLM`` and ``AutoTokenizer`` load."""
    from transformers import PreTrainedTokenizerFast

    model.save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>").save_pretrained(folder)


def batches(kind: Kind, settings: Pretrain, tokenizer: Tokenizer) -> Iterator[list[tuple[list[int], int]]]:
    """One batch an optimizer step: token ids of prompt, answer and EOS, and the length of the prompt."""
    if kind.solutions is None:
        raise StudyError(f"models.*.pretrain.benchmark: {kind.name} has no solutions to pre-train on")
    texts = kind.solutions(settings.seed, settings.steps * settings.batch, settings.numbers)
    for _ in range(settings.steps):
        pairs = [next(texts) for _ in range(settings.batch)]
        yield [([*tokenizer.encode(prompt + answer).ids, END], len(prompt)) for prompt, answer in pairs]


def backward(model: nn.Module, batch: list[tuple[list[int], int]]) -> float:
    """Accumulate the gradients of the mean cross-entropy of a batch's answer tokens; returns that loss.

    Micro-batches of similar length mean less padding, and activations stay in the cache (a quarter less CPU time).
    """
    total, answers = 0.0, sum(len(row) - start for row, start in batch)
    ordered = sorted(batch, key=lambda pair: len(pair[0]))
    size = -(-len(ordered) // MICRO_BATCHES)
    for piece in (ordered[i : i + size] for i in range(0, len(ordered), size)):
        longest = len(piece[-1][0])
        ids_BT = torch.tensor([row + [PAD] * (longest - len(row)) for row, _ in piece])
        place_T = torch.arange(longest)
        start_B1, length_B1 = torch.tensor([[start, len(row)] for row, start in piece]).T[..., None]
        answer_BT = ((place_T >= start_B1) & (place_T < length_B1))[:, 1:]
        logits_BTV = model(input_ids=ids_BT[:, :-1], use_cache=False).logits
        loss = F.cross_entropy(logits_BTV[answer_BT], ids_BT[:, 1:][answer_BT], reduction="sum") / answers
        loss.backward()
        total += loss.item()
    return total


def optimizers(model: nn.Module, settings: Pretrain) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the blocks, AdamW for embeddings, head and norms (Jordan et al. 2024)."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "layers." in name]
    chosen = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in chosen]
    return [
        torch.optim.Muon(matrices, lr=settings.lr_muon, weight_decay=0.0),
        torch.optim.AdamW(others, lr=settings.lr_adamw, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def schedule(step: int, steps: int) -> float:
    """The learning rate's factor: linear warm-up over 20 steps, constant, linear decay over the second half to 2 %."""
    return min(1.0, (step + 1) / 20) * max(0.02, min(1.0, (steps - step) / (0.5 * steps)))


def pretrain(
    kind: Kind,
    settings: Pretrain,
    store: Path,
    log: Callable[[str], None],
    stopped: Callable[[], bool] = lambda: False,
) -> tuple[nn.Module, Tokenizer]:
    """Train the base model from the last state in ``store``; the caller holds the store's lease.

    Raises:
        Interrupted: ``stopped`` returned True; the state is saved.
    """
    tokenizer, model = character_tokenizer(), build(settings)
    chosen = optimizers(model, settings)
    rates = [group["lr"] for optimizer in chosen for group in optimizer.param_groups]
    done = max(state.saved_steps(store), default=0)
    if done:
        state.load(store, done, model, *chosen)
        log(f"resuming after step {done}")
    recent: list[float] = []
    for step, batch in enumerate(batches(kind, settings, tokenizer), 1):
        if step <= done:
            continue
        recent = [*recent[-49:], backward(model, batch)]
        groups = [group for optimizer in chosen for group in optimizer.param_groups]
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate * schedule(step - 1, settings.steps)
        for optimizer in chosen:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        interrupted = stopped() and step < settings.steps
        if step % 50 == 0 or step == settings.steps or interrupted:
            state.save(store, step, model, *chosen)
            log(f"step {step}/{settings.steps}  loss {sum(recent) / len(recent):.4f}")
        if interrupted:
            raise Interrupted(f"stopped by a signal at step {step}; saved, run the same command again to go on")
    return model.eval(), tokenizer
