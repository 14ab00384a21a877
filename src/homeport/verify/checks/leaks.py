"""Is what a client shows to people free of what was meant for the engine alone?"""

from __future__ import annotations

import re

_CONTROL = re.compile(
    r"<\|(?!im_(?:start|end)\|>)[\w\"' -]{0,40}\|?>"  # <|channel>, <|tool_call>, <|"|>
    r"|<\w{1,40}\|>"  # <tool_call|>, <turn|>
    r"|</?(?:think|tool_call|tool_response|start_of_turn|end_of_turn|bos|eos|pad|unk|unused\d+)>"
    r"|<(?:function|parameter)=[\w.-]{1,64}>"  # of Qwen's coders, where no parser reads them
    r"|\[/?(?:TOOL_CALLS|INST|THINK)\]"
)
"""
Control tokens of the model families that engines parse: in text they are left-overs of a wrong parser or template.

ChatML's `<|im_start|>` and `<|im_end|>` are not among them. Engines put a model without a template of its own into ChatML,
and one that was only pretrained repeats these as it repeats any word: real Gemma 3 270M does.
"""


def leaked(text: str) -> str:
    """Return what of a text is a control token, once each; '' for nothing."""
    return " ".join(dict.fromkeys(match[0] for match in _CONTROL.finditer(text)))


def trouble(text: str, thoughts: str, *, cut: bool) -> str:
    """
    Return what is wrong with an answer's text, or ''.

    An answer that was `cut` while it was still thinking has no text yet, and nothing wrong with it.
    """
    if leaked(text):
        return f"control tokens are left in the text: {leaked(text)}"
    if text.strip() or (thoughts.strip() and cut):
        return ""
    return "there is no text beside the reasoning" if thoughts.strip() else "the answer is empty"
