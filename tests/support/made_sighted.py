"""
Make a tiny model that takes pictures, in a folder of safetensors: `made_sighted.py TEXT_FOLDER TARGET`.

It has the architecture of SmolVLM (Idefics 3), and weights drawn by chance, from a seed; the tokenizer is that of the model
in TEXT_FOLDER. It sees nothing and says nothing: it shows that pictures arrive. Run by the Python of the environment with
real vLLM, which has transformers.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

_MARKS = ("<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>")
_SIDE = 64
_TEMPLATE = """{{ bos_token }}{% for message in messages %}{{ '<|turn>' + message['role'] + '\\n' }}\
{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}\
{% if part['type'] == 'image' %}{{ '<image>' }}{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}\
{{ '<turn|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|turn>model\\n' }}{% endif %}"""


def main() -> None:
    """Write the model."""
    import torch
    from transformers import AutoTokenizer, Idefics3Config, Idefics3ForConditionalGeneration

    source, target = map(Path, sys.argv[1:3])
    target.mkdir(parents=True, exist_ok=True)
    tokenizer: Any = AutoTokenizer.from_pretrained(source)
    places = [f"<row_{row}_col_{column}>" for row in (1, 2) for column in (1, 2)]
    tokenizer.add_tokens([*_MARKS, *places], special_tokens=True)
    tokenizer.chat_template = None
    tokenizer.save_pretrained(target)
    (target / "chat_template.jinja").write_text(_TEMPLATE)
    torch.manual_seed(11)
    config = Idefics3Config(
        text_config={
            "model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
            "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 32, "vocab_size": len(tokenizer),
            "max_position_embeddings": 2048, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 1,
        },
        vision_config={
            "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2,
            "image_size": _SIDE, "patch_size": 16,
        },
        scale_factor=2, image_token_id=tokenizer.convert_tokens_to_ids("<image>"), pad_token_id=0,
    )  # fmt: skip
    model = Idefics3ForConditionalGeneration(config)
    with torch.no_grad():
        for parameter in model.parameters():
            # Larger than usual, so that what is seen is not lost among what is said.
            parameter.normal_(0, 0.2 if parameter.dim() > 1 else 0.5)
    model.save_pretrained(target)
    edge = {"longest_edge": _SIDE}
    image = {
        "image_processor_type": "Idefics3ImageProcessor", "do_resize": True, "size": edge, "max_image_size": edge,
        "do_image_splitting": True, "do_pad": True, "do_normalize": True, "do_rescale": True,
        "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "processor_class": "Idefics3Processor",
    }  # fmt: skip
    (target / "preprocessor_config.json").write_text(json.dumps(image))
    processor = {"processor_class": "Idefics3Processor", "image_seq_len": (_SIDE // 16) ** 2 // 2**2}
    (target / "processor_config.json").write_text(json.dumps(processor))


if __name__ == "__main__":
    main()
