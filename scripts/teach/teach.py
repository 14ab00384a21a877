"""
Teach a tiny Gemma 4 a small language of tools, from a seed: `teach.py OUT --template TEMPLATE`.

The tools of a prompt are read once for several lessons (see `reading`); with RANK and WORLD_SIZE in the
environment, several such processes teach one model. Every 100 steps it says how many pieces in held-out words come out
wholly right.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from tokenizers import Tokenizer
from torch import distributed
from torch.nn import functional
from transformers import Gemma4ForCausalLM

from beginnings import new_model
from lessons import LessonBatch, Level, Prompts, batches
from muon import Muon
from reading import Reader, ensure_as_transformers
from tool_language import Speaker
from tool_vocabulary import build

_MORE = 2
"""Times as many lessons go into a batch where each is as short as a choice."""
_TURN = 4
"""Of so many steps, all but one teach nothing but what to call."""
_MOST_TOOLS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How the model is taught."""

    steps: int
    rate: float
    alone: int
    """So many steps begin with one tool a prompt, and no lesson of two steps."""
    whole: int
    """So many steps teach whole lessons of ever more tools, from then on mostly what to call, in more lessons."""
    heads: int
    lessons: int

    def level(self, step: int) -> Level:
        """Return how hard the lessons of a step are."""
        if step < self.alone:
            return Level(heads=self.heads, lessons=self.lessons, tools=1, two_steps=0.0)
        if step < self.whole:
            tools = 2 if step < self.whole * 0.5 else 3
            return Level(heads=self.heads, lessons=self.lessons, tools=tools, two_steps=0.3)
        choices = step % _TURN < _TURN - 1
        return Level(
            heads=self.heads,
            lessons=_MORE * self.lessons if choices else self.lessons,
            tools=_MOST_TOOLS,
            two_steps=0.6,
            choices_only=choices,
        )

    def rate_at(self, step: int) -> float:
        """Return the rate of learning: it warms up, stays, and goes down over the last two fifths."""
        return self.rate * min(1, (step + 1) / 12) * min(1.0, (1 - step / self.steps) / 0.4 + 0.01)


class Pupil:
    """A model that is taught."""

    def __init__(self, model: Gemma4ForCausalLM, *, compiled: bool = True) -> None:
        self.model = model
        self._reader = Reader(model, compiled=compiled)
        named = list(model.named_parameters())
        self._matrices = [one for name, one in named if one.ndim == 2 and "embed" not in name]
        self._others = [one for name, one in named if one.ndim != 2 or "embed" in name]
        self._muon = Muon(self._matrices)
        self._adam = torch.optim.AdamW(self._others, betas=(0.9, 0.98), weight_decay=0.0)

    def read(self, lessons: LessonBatch) -> torch.Tensor:
        """Return the logits from which something is learned."""
        return self._reader.logits(lessons.ids, lessons.positions, lessons.rows, lessons.where)

    def learn(self, lessons: LessonBatch, rate: float) -> tuple[float, float]:
        """Learn from a batch; return the loss, and the share of tokens that came out right before."""
        logits, targets = self.read(lessons), lessons.targets
        loss = functional.cross_entropy(logits, targets)
        parameters = [*self._matrices, *self._others]
        for one in parameters:
            one.grad = None
        loss.backward()
        if distributed.is_initialized():
            _share(parameters)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        self._muon.step(rate)
        for group in self._adam.param_groups:
            group["lr"] = rate
        self._adam.step()
        return loss.item(), (logits.argmax(-1) == targets).float().mean().item()


def _share(parameters: Sequence[torch.Tensor]) -> None:
    """Set each gradient to the mean of all processes'."""
    flat = torch.cat([one.grad.flatten() for one in parameters if one.grad is not None])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    at = 0
    for one in parameters:
        one.grad = flat[at : at + one.numel()].view_as(one)
        at += one.numel()


def examined(pupil: Pupil, prompts: Prompts) -> dict[str, str]:
    """Return how many pieces come out wholly right in words that are held out, by category and place."""
    random = Random(1)
    speaker = Speaker(random, held_out=True)
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    level = Level(heads=4, lessons=8, tools=4, two_steps=0.5)
    drawn = batches(prompts, speaker, random, level)
    with torch.no_grad():
        for _ in range(4):
            lessons = next(drawn)
            good = pupil.read(lessons).argmax(-1) == lessons.targets
            for row, names in zip(lessons.rows, lessons.names, strict=True):
                for piece, name in names.items():
                    total[name] += 1
                    right[name] += bool(good[row.looking][lessons.pieces[row.looking] == piece].all())
    return {name: f"{right[name]}/{total[name]}" for name in sorted(total)}


def taught(course: Course, pupil: Pupil, prompts: Prompts, random: Random, out: Path | None) -> None:
    """Teach; with `out` also say how it goes, and keep what there is."""
    speaker = Speaker(random)
    began = time.monotonic()
    drawn: dict[Level, Iterator[LessonBatch]] = {}
    for step in range(course.steps):
        level = course.level(step)
        lessons = next(drawn.setdefault(level, batches(prompts, speaker, random, level)))
        loss, right = pupil.learn(lessons, course.rate_at(step))
        if out and step % 10 == 0:
            print(
                f"{step} loss {loss:.3f} tokens right {right:.3f} {time.monotonic() - began:.0f} s, "
                f"{time.process_time():.0f} s of processor a process",
                flush=True,
            )
        if out and (step % 100 == 99 or step == course.steps - 1):
            print("  in held-out words:", examined(pupil, prompts), flush=True)
            pupil.model.save_pretrained(out)


def main() -> int:
    """Teach one model."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--template", type=Path, required=True, help="Gemma 4's chat template")
    parser.add_argument("--from", dest="start", type=Path, help="go on with this model")
    numbers = {
        "steps": 3650,
        "alone": 60,
        "whole": 500,
        "heads": 4,
        "lessons": 5,
        "hidden": 128,
        "feed-forward": 256,
        "layers": 6,
        "seed": 0,
        "threads": 1,
    }
    for name, value in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--rate", type=float, default=6e-3)
    parser.add_argument(
        "--eager", action="store_true", help="compile nothing, which wants no compiler and takes longer"
    )
    args = parser.parse_args()
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    if world > 1:
        meeting = f"file://{args.out.resolve()}.meeting"
        distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=world)
    template = args.template.read_text()
    if rank == 0:
        build(args.out, template)
    if world > 1:
        distributed.barrier()
    tokenizer = Tokenizer.from_file(str(args.out / "tokenizer.json"))
    prompts = Prompts(template, tokenizer)
    for seed in range(30):
        prompts.ensure_as_templated(Speaker(Random(seed)))
    if args.start:
        model = Gemma4ForCausalLM.from_pretrained(args.start, dtype=torch.float32)
    else:
        size = (tokenizer.get_vocab_size() + 63) // 64 * 64
        model = new_model(size, args.hidden, args.feed_forward, args.layers)
    ensure_as_transformers(model)
    course = Course(
        steps=args.steps,
        rate=args.rate,
        alone=args.alone,
        whole=args.whole,
        heads=args.heads,
        lessons=args.lessons,
    )
    pupil = Pupil(model, compiled=not args.eager)
    random = Random(f"{args.seed} {rank}")
    taught(course, pupil, prompts, random, args.out if rank == 0 else None)
    if rank == 0:
        finish(model, args.out)
    return 0


def finish(model: Gemma4ForCausalLM, out: Path) -> None:
    """Keep the model as a hub publishes it."""
    model.to(torch.bfloat16).save_pretrained(out)
    # transformers leaves it out where it is head_dim, and readers then take it for Gemma 4's usual 512.
    config = json.loads((out / "config.json").read_text())
    config["global_head_dim"] = model.config.head_dim
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (out / "model.safetensors").chmod(0o644)


if __name__ == "__main__":
    sys.exit(main())
