"""Trains the tiny model from nothing, on one core of a CPU: `python -m assistant.evals.tiny.train`.

Made-up dialogues become batches of like length; the loss counts only what the model is to write. First it learns to
repeat, then to talk in short conversations, then in longer ones. Work stops after `--minutes` and goes on from its
checkpoint when called again. Knows dialogues and transformers; not the agent. The same plan gives the same weights.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from assistant.evals.tiny import WEIGHTS, tokens, worlds
from assistant.evals.tiny.dialogue import Message, dialogue

if TYPE_CHECKING:
    import torch
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

SIZES = {  # name -> (width, layers, heads, inner width of the feed-forward part)
    "tiny": (128, 6, 4, 352),
    "larger": (256, 9, 8, 704),
}
CHUNK = 256  # dialogues made at a time
LONGEST = 1024  # tokens of a training conversation
READS = 4096  # tokens that the model may be asked to read
RATES = ((0, 0.05), (22.8, 1.0), (645, 1.0), (747, 0.6), (860, 0.02))  # (step, share of the full rate), linear between


@dataclass(frozen=True)
class Stage:
    """What is learnt from a step on."""

    start: int
    echoes: float  # share of conversations that only repeat or look up
    lookups: float  # share of these that look up
    turns: tuple[int, ...]  # how many questions a conversation may have
    batch: float  # share of a full batch


STAGES = (
    Stage(0, 1.0, 0.0, (1,), 0.5),
    Stage(168, 0.4, 0.4, (1,), 1.0),
    Stage(288, 0.1, 0.5, (1, 1, 2), 1.0),
    Stage(560, 0.03, 0.5, (1, 2, 2, 3, 4), 1.0),
)


@dataclass(frozen=True)
class Plan:
    """What is trained and how; the same plan gives the same weights."""

    size: str = "tiny"
    steps: int = 860
    tokens: int = 4096  # of a batch
    rate: float = 4e-3  # of the optimiser for vectors and embeddings
    rate_matrices: float = 2e-2
    seed: int = 0


def echo(rng: random.Random, lookups: float) -> list[Message]:
    """Something to repeat, or to look up: ids, made-up words, numbers."""
    makers = (
        lambda: f"F{rng.randint(1, 200)}",
        lambda: worlds.word(rng),
        lambda: f"{rng.uniform(0, 10 ** rng.randint(-3, 3)):.4g}",
        lambda: f".{rng.choice(('p_value', 'score', 'share', 'observed'))} = {rng.randint(1, 99)}",
        lambda: f"E{rng.randint(1, 30)}",
        lambda: rng.choice(worlds.PLACES),
    )
    words = [rng.choice(makers)() for _ in range(rng.randint(4, 16))]
    if rng.random() >= lookups:
        asked = answer = " ".join(words)
    else:
        pairs = {word: rng.choice(makers)() for word in words}
        name = rng.choice(words)
        asked, answer = "\n".join(f"{key} = {value}" for key, value in pairs.items()) + f"\n{name}?", pairs[name]
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]


def conversations(seed: str, count: int, stage: Stage = STAGES[-1]) -> list[list[Message]]:
    """`count` conversations of a stage; those with an answer that does not pass the check are left out."""
    rng = random.Random(seed)
    made: list[list[Message]] = []
    while len(made) < count:
        if rng.random() < stage.echoes:
            made.append(echo(rng, stage.lookups))
            continue
        try:
            made.append(dialogue(rng, rng.choice(stage.turns)))
        except ValueError:
            continue
    return made


def batches(tokenizer: PreTrainedTokenizerFast, plan: Plan, chunk: int, stage: Stage) -> Iterator[list[Any]]:
    """Lists of (ids, learnt) of like length that hold about `plan.tokens` together, or a stage's share of these."""
    rows = [tokens.encode(tokenizer, one) for one in conversations(f"{plan.seed}/{chunk}", CHUNK, stage)]
    rows = sorted((row for row in rows if len(row[0]) <= LONGEST), key=lambda row: len(row[0]))
    made: list[list[Any]] = [[]]
    for row in rows:
        if made[-1] and (len(made[-1]) + 1) * len(row[0]) > stage.batch * plan.tokens:
            made.append([])
        made[-1].append(row)
    random.Random(f"{plan.seed}/{chunk}/order").shuffle(made)
    yield from made


def new_model(size: str, vocabulary: int) -> LlamaForCausalLM:
    """A Llama of random weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    width, layers, heads, inner = SIZES[size]
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        intermediate_size=inner,
        max_position_embeddings=READS,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=tokens.SPECIAL.index(tokens.END),
    )
    return LlamaForCausalLM(config)


def loss_of(model: LlamaForCausalLM, rows: list[Any]) -> torch.Tensor:
    """Mean cross-entropy over the tokens that the model is to write."""
    import torch

    longest = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([row + [0] * (longest - len(row)) for row, _ in rows])
    learnt = torch.tensor([mask + [False] * (longest - len(mask)) for _, mask in rows])
    with torch.autocast("cpu", torch.bfloat16):
        hidden = model.model(ids[:, :-1], use_cache=False).last_hidden_state
        logits = model.lm_head(hidden[learnt[:, 1:]])
    return torch.nn.functional.cross_entropy(logits.float(), ids[:, 1:][learnt[:, 1:]])


class Trainer:
    """Model, optimisers and where the training stands."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        import torch

        torch.manual_seed(plan.seed)
        self.plan, self.folder = plan, folder
        self.tokenizer = _tokenizer(plan, folder)
        self.model = new_model(plan.size, len(self.tokenizer))
        named = [(name, one) for name, one in self.model.named_parameters() if one.requires_grad]
        inner = [one for name, one in named if one.ndim == 2 and "layers" in name]
        outer = [one for name, one in named if not (one.ndim == 2 and "layers" in name)]
        self.optimisers: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(outer, lr=plan.rate, betas=(0.9, 0.95), weight_decay=0.0),
            torch.optim.Muon(inner, lr=plan.rate_matrices, weight_decay=0.01),
        ]
        self.step, self.chunk = 0, 0
        self._resume()

    def run(self, minutes: float) -> bool:
        """Train until all steps are made or the time is over; whether all are made."""
        begun, losses = time.monotonic(), []
        while self.step < self.plan.steps:
            stage = [one for one in STAGES if one.start <= self.step][-1]
            for rows in batches(self.tokenizer, self.plan, self.chunk, stage):
                losses.append(self._step(rows))
            self.chunk += 1
            seconds = time.monotonic() - begun
            print(f"step {self.step}, loss {sum(losses) / len(losses):.4f}, {seconds:.0f} s", flush=True)
            losses = []
            if seconds > 60 * minutes:
                break
        self._keep()
        return self.step >= self.plan.steps

    def save(self) -> None:
        """Write model and tokenizer for `local:FOLDER`, in half precision."""
        import torch

        torch.nn.Module.to(self.model, torch.bfloat16)
        self.model.save_pretrained(self.folder)
        self.tokenizer.save_pretrained(self.folder)

    def _step(self, rows: list[Any]) -> float:
        import torch

        factor = float(np.interp(self.step, [at for at, _ in RATES], [share for _, share in RATES]))
        for optimiser, rate in zip(self.optimisers, (self.plan.rate, self.plan.rate_matrices), strict=True):
            optimiser.param_groups[0]["lr"] = rate * factor
        loss = loss_of(self.model, rows)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        self.step += 1
        return float(loss.detach())

    @property
    def checkpoint(self) -> Path:
        """Where an unfinished training is kept."""
        return self.folder / "checkpoint.pt"

    def _keep(self) -> None:
        import torch

        state = {
            "model": self.model.state_dict(),
            "optimisers": [one.state_dict() for one in self.optimisers],
            "step": self.step,
            "chunk": self.chunk,
        }
        torch.save(state, self.checkpoint)

    def _resume(self) -> None:
        import torch

        if self.checkpoint.is_file():
            state = torch.load(self.checkpoint, weights_only=True)
            self.model.load_state_dict(state["model"])
            for one, kept in zip(self.optimisers, state["optimisers"], strict=True):
                one.load_state_dict(kept)
            self.step, self.chunk = state["step"], state["chunk"]


def _tokenizer(plan: Plan, folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer of the folder, or a new one from some dialogues."""
    from transformers import PreTrainedTokenizerFast

    if (folder / "tokenizer.json").is_file():
        return PreTrainedTokenizerFast.from_pretrained(folder)
    made = conversations(f"{plan.seed}/tokens", 4 * CHUNK)
    tokenizer = tokens.train_tokenizer(map(tokens.text_of, made))
    tokenizer.save_pretrained(folder)
    return tokenizer


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="folder of the model")
    parser.add_argument("--size", choices=list(SIZES), default="tiny")
    parser.add_argument("--steps", type=int, default=Plan.steps)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after these; call again to go on")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(Plan(given.size, given.steps, seed=given.seed), given.out)
    if trainer.run(given.minutes):
        trainer.save()
        trainer.checkpoint.unlink()


if __name__ == "__main__":
    main()
