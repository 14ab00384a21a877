"""The vocabulary of the taught model: Gemma 4's special tokens, bytes, and a few hundred pieces of words."""

from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing

from taught_words import TAUGHT, TAUGHT_NAMES, syllables
from tool_language import ASKED, DESCRIBED, PHRASES, SYSTEMS, TALK

SPECIAL = [
    "<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<|tool>", "<tool|>", "<|tool_call>", "<tool_call|>",
    "<|tool_response>", "<tool_response|>", '<|"|>', "<|think|>", "<|channel>", "<channel|>", "<|turn>", "<turn|>",
    "<|image>", "<|audio>", "<|image|>", "<|audio|>", "<image|>", "<audio|>", "<|video|>",
]  # fmt: skip
NAMED = {
    "sot_token": "<|turn>", "eot_token": "<turn|>", "soc_token": "<|channel>", "eoc_token": "<channel|>",
    "stc_token": "<|tool_call>", "etc_token": "<tool_call|>", "str_token": "<|tool_response>",
    "etr_token": "<tool_response|>", "std_token": "<|tool>", "etd_token": "<tool|>", "think_token": "<|think|>",
    "escape_token": '<|"|>',
}  # fmt: skip
"""The converter to GGUF takes these alone for control tokens."""
WRITTEN = [
    "declaration:", "{description:", ",parameters:{properties:{ ", ":{description:", ",type:", "} },required:[", "],type:",
    "}}", ":{type:", "response:", "{value:", "call:", "STRING", "OBJECT", "INTEGER", "_of_", "get_", "find_",
    *PHRASES,
]  # fmt: skip
"""What the template writes around every tool: a token each, which makes a prompt shorter by a third."""
SIZE = 1024


def build(out: Path, template: str) -> None:
    """Write the tokenizer and the chat template into `out`."""
    tokenizer = _trained()
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    # Where llama.cpp splits the text of a Gemma 4, too: both count the same tokens.
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("\\n+"), "isolated")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    tokenizer.post_processor = TemplateProcessing(
        single="<bos>:0 $A:0", pair="<bos>:0 $A:0 <bos>:1 $B:1", special_tokens=[("<bos>", 2)]
    )
    tokenizer.add_tokens([AddedToken(one, normalized=False) for one in WRITTEN])
    size = tokenizer.get_vocab_size()
    # llama.cpp wants as many tokens as there are rows of the embedding.
    unused = range(size, (size + 63) // 64 * 64)
    tokenizer.add_tokens([AddedToken(f"<unused{one}>", normalized=False) for one in unused])
    tokenizer.save(str(out / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<bos>",
        "eos_token": "<eos>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "mask_token": "<mask>",
        "model_max_length": 131072,
        "clean_up_tokenization_spaces": False,
        **NAMED,
    }
    (out / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")
    (out / "chat_template.jinja").write_text(template)


def _trained() -> Tokenizer:
    """Return pieces of words: letters merge with letters alone, so a word has the same pieces wherever it stands."""
    random = Random(0)
    talk = " ".join(" ".join(one) for one in TALK)
    fixed = " ".join((*SYSTEMS, *ASKED, *DESCRIBED, talk))
    fixed += " I have no tool for the It is Name of Which get find read look up thought system user model call response value"
    fixed += " STRING INTEGER OBJECT NUMBER BOOLEAN ARRAY required properties parameters description type declaration"
    words = re.findall("[A-Za-z]+", fixed) * 20
    words += [*TAUGHT, *TAUGHT_NAMES] * 6 + [syllables(random) for _ in range(3000)]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("[A-Za-z]+"), "isolated")
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE - len(WRITTEN),
        special_tokens=[*SPECIAL, *(f"<0x{one:02X}>" for one in range(256))],
        initial_alphabet=[*(chr(one) for one in range(33, 127)), "▁", "\n"],
        show_progress=False,
        min_frequency=2,
    )
    tokenizer.train_from_iterator(words, trainer)
    raw = json.loads(tokenizer.to_str())
    # Bytes are plain vocabulary, not special.
    raw["added_tokens"] = [one for one in raw["added_tokens"] if one["content"] in SPECIAL]
    raw["pre_tokenizer"] = None
    return Tokenizer.from_str(json.dumps(raw))
