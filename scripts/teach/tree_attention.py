"""Attention for several lessons behind one head of a prompt: each is as if it stood there alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import AttentionInterface


@dataclass(slots=True)
class TreeLayout:
    """Where a row's head and its lessons lie: the head first, then the lessons, all padded to one length."""

    head: int = 0
    lessons: int = 0
    length: int = 0
    real: torch.Tensor | None = None
    """Of each row's head, what is no padding."""


LAYOUT = TreeLayout()
"""Of the batch that is in work: transformers calls attention with nothing but tensors."""


def _attend(
    _module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *_: Any, **__: Any
) -> tuple[torch.Tensor, None]:  # Any: what transformers calls all kinds of attention with
    head, lessons, length, real = LAYOUT.head, LAYOUT.lessons, LAYOUT.length, LAYOUT.real
    assert real is not None
    groups = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    rows, heads, _length, size = query.shape
    low = torch.finfo(query.dtype).min
    head_keys, head_values = key[:, :, :head], value[:, :, :head]
    scores = (query[:, :, :head] @ head_keys.transpose(-1, -2)).masked_fill(~_causal(head), low)
    of_head = scores.softmax(-1) @ head_values

    own = (rows, heads, lessons, length, size)
    queries, keys, values = (one[:, :, head:].reshape(own) for one in (query, key, value))
    back = (query[:, :, head:] @ head_keys.transpose(-1, -2)).masked_fill(~real[:, None, None, :], low)
    back = back.view(rows, heads, lessons, length, head)
    within = (queries @ keys.transpose(-1, -2)).masked_fill(~_causal(length), low)
    weights = torch.cat((back, within), -1).softmax(-1)
    of_lessons = weights[..., :head].reshape(rows, heads, lessons * length, head) @ head_values
    of_lessons = of_lessons + (weights[..., head:] @ values).reshape(rows, heads, lessons * length, size)
    return torch.cat((of_head, of_lessons), 2).transpose(1, 2), None


def _causal(size: int) -> torch.Tensor:
    return torch.ones(size, size, dtype=torch.bool).tril()


AttentionInterface.register("tree", _attend)
