"""
Teach a LoRA adapter for the model of the agents' tests, from a seed: `adapter.py BASE OUT`.

It answers every greeting, thanks and question about itself with one sentence that the base model says only of itself; what
it says of tools stays as it was. PEFT makes and writes it, as it does those that people bring.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from random import Random
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer
from torch.nn import functional
from transformers import Gemma4ForCausalLM

from lessons import Prompts
from tool_language import SYSTEMS, TALK, Lesson, Speaker

SAYS = "I am a small test model."
RANK = 4
_LESSONS = 6
"""Of a step: half are talk, the rest keeps what it knew."""
_NOTHING = -100


def lesson(prompts: Prompts, speaker: Speaker, random: Random, *, talk: bool) -> tuple[list[int], list[int]]:
    """Return the tokens of one lesson, and those of them that are to be learned."""
    tools = speaker.tools(random.randint(1, 3))
    if talk:
        question, _ = random.choice(TALK)
        offered = tools if random.random() < 0.5 else []
        chosen = Lesson(category="no_tool", question=question, pieces=((f"{SAYS}<turn|>", True),))
    else:
        offered, chosen = tools, speaker.lesson(random.choice(("one_tool", "no_tool")), tools)
        if chosen.question in dict(TALK):
            return lesson(prompts, speaker, random, talk=True)
    ids = prompts.ids(prompts.head(random.choice(SYSTEMS), offered))
    targets = [_NOTHING] * len(ids)
    for text, learned in prompts.branch(chosen, empty_thought=random.random() < 0.5):
        tokens = prompts.ids(text)
        ids += tokens
        targets += tokens if learned else [_NOTHING] * len(tokens)
    return ids, targets


def loss_of(model: Any, lessons: list[tuple[list[int], list[int]]]) -> torch.Tensor:  # Any: PEFT's wrapper
    """Return how far the model is from what the lessons say."""
    longest = max(len(ids) for ids, _ in lessons)
    ids = torch.tensor([one + [0] * (longest - len(one)) for one, _ in lessons])
    seen = torch.tensor([[1] * len(one) + [0] * (longest - len(one)) for one, _ in lessons])
    wanted = torch.tensor([targets + [_NOTHING] * (longest - len(targets)) for _, targets in lessons])
    logits = model(input_ids=ids, attention_mask=seen, use_cache=False).logits[:, :-1]
    return functional.cross_entropy(logits.flatten(0, 1), wanted[:, 1:].flatten(), ignore_index=_NOTHING)


def main() -> None:
    """Teach and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    random, begun = Random(given.seed), time.monotonic()
    torch.manual_seed(given.seed)
    model = Gemma4ForCausalLM.from_pretrained(given.base, dtype=torch.float32, attn_implementation="eager")
    adapted = get_peft_model(
        model,
        LoraConfig(
            r=RANK, lora_alpha=4 * RANK, target_modules=["q_proj", "v_proj", "o_proj", "down_proj"], task_type="CAUSAL_LM"
        ),
    )  # fmt: skip
    prompts = Prompts(
        (given.base / "chat_template.jinja").read_text(),
        Tokenizer.from_file(str(given.base / "tokenizer.json")),
    )
    speaker = Speaker(random)
    parameters = [one for one in adapted.parameters() if one.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=0.01, weight_decay=0.0)
    for step in range(given.steps):
        for group in optimizer.param_groups:
            group["lr"] = 0.01 * min(1, (step + 1) / 10) * (1 - step / given.steps)
        lessons = [lesson(prompts, speaker, random, talk=one % 2 == 0) for one in range(_LESSONS)]
        loss = loss_of(adapted, lessons)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if step % 6 == 5:
            print(f"step {step + 1}: loss {loss.item():.4f}, {time.monotonic() - begun:.0f} s", flush=True)
    for one in parameters:
        one.data = one.data.to(torch.bfloat16)
    # Else the file would name a folder of the machine that it was taught on.
    adapted.peft_config["default"].base_model_name_or_path = given.base.name
    adapted.save_pretrained(given.out)
    (given.out / "README.md").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
