"""
How a model reads lessons that share the head of their prompt: each lesson as if it stood alone behind the head.

The same sums as transformers' Gemma 4, which `ensure_as_transformers` looks at before each lesson, in
half the precision where the CPU has it, without what the layers of these models do not use, and compiled once for all layers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch.fx.experimental import _config as shapes
from torch.nn import functional
from transformers import Gemma4ForCausalLM

_HEADS, _KEYS = 4, 2
"""Of a layer: heads, and those of them that have keys and values of their own."""
_GROUP = _HEADS // _KEYS
NARROW = torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else torch.float32  # noqa: SLF001 - no other way to ask
"""The precision of large products: half, where the CPU has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where a batch's heads and lessons lie: a row is a head, then slots of one length; a slot has lessons one behind another."""

    head: int
    slots: int
    length: int
    real: torch.Tensor
    """Rows by `head`: what is no padding."""
    lesson: torch.Tensor
    """Rows by slots by `length`: the lesson that a token is part of, counted in its slot; -1: padding."""


def _normed(x: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
    x = x.float()
    x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)
    return x if weight is None else x * weight


def _turned(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    one, other = x.chunk(2, -1)
    return x * cos + torch.cat((-other, one), -1) * sin


def _layer(
    x: torch.Tensor,
    turn: tuple[torch.Tensor, torch.Tensor],
    masks: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    weights: Sequence[torch.Tensor],
    sizes: tuple[int, int, int],
) -> torch.Tensor:
    q, k, v, o, gate, up, down, q_norm, k_norm, before, after, before_mlp, after_mlp = weights
    narrow = o.dtype
    rows, total, _ = x.shape
    size = q_norm.shape[0]
    h = _normed(x, before).to(narrow)
    cos, sin = (one[:, :, None] for one in turn)
    query = _turned(_normed((h @ q.T).view(rows, total, _HEADS, size), q_norm), cos, sin).to(narrow)
    key = _turned(_normed((h @ k.T).view(rows, total, _KEYS, size), k_norm), cos, sin).to(narrow)
    value = _normed((h @ v.T).view(rows, total, _KEYS, size), None).to(narrow)
    x = x + _normed(_attended(query, key, value, masks, sizes) @ o.T, after)
    h = _normed(x, before_mlp).to(narrow)
    h = functional.gelu(h @ gate.T, approximate="tanh") * (h @ up.T)
    return x + _normed(h @ down.T, after_mlp)


def _attended(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    masks: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    sizes: tuple[int, int, int],
) -> torch.Tensor:
    of_head, of_back, of_slots = masks
    head, slots, length = sizes
    rows, _, _, size = query.shape
    narrow = query.dtype

    def split(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        front = x[:, :head].transpose(1, 2)
        behind = x[:, head:].view(rows, slots, length, -1, size).permute(0, 3, 1, 2, 4)
        return front, behind

    keys, slot_keys = split(key)
    values, slot_values = split(value)
    front = query[:, :head].view(rows, head, _KEYS, _GROUP, size).permute(0, 2, 3, 1, 4)
    front = front.reshape(rows * _KEYS, _GROUP * head, size)
    keys, values = (one.reshape(rows * _KEYS, head, size) for one in (keys, values))
    slot_keys, slot_values = (
        one.reshape(rows * _KEYS * slots, length, size) for one in (slot_keys, slot_values)
    )
    scores = (front @ keys.transpose(1, 2)).view(rows, _KEYS, _GROUP, head, head).float() + of_head
    weights = scores.softmax(-1).to(narrow).view(rows * _KEYS, _GROUP * head, head)
    front = (weights @ values).view(rows, _KEYS, _GROUP, head, size).permute(0, 3, 1, 2, 4)

    behind = query[:, head:].view(rows, slots, length, _KEYS, _GROUP, size).permute(0, 3, 1, 4, 2, 5)
    behind = behind.reshape(rows * _KEYS, slots * _GROUP * length, size)
    back = (behind @ keys.transpose(1, 2)).view(rows, _KEYS, slots, _GROUP, length, head).float() + of_back
    within = behind.view(rows * _KEYS * slots, _GROUP * length, size) @ slot_keys.transpose(1, 2)
    within = within.view(rows, _KEYS, slots, _GROUP, length, length).float() + of_slots
    most = torch.maximum(back.amax(-1, keepdim=True), within.amax(-1, keepdim=True)).detach()
    back, within = (back - most).exp(), (within - most).exp()
    scale = 1 / (back.sum(-1, keepdim=True) + within.sum(-1, keepdim=True))
    back = (back * scale).to(narrow).view(rows * _KEYS, slots * _GROUP * length, head)
    within = (within * scale).to(narrow).view(rows * _KEYS * slots, _GROUP * length, length)
    of_lessons = (back @ values).view(rows, _KEYS, slots, _GROUP, length, size)
    of_lessons = of_lessons + (within @ slot_values).view(rows, _KEYS, slots, _GROUP, length, size)
    of_lessons = of_lessons.permute(0, 2, 4, 1, 3, 5).reshape(rows, slots * length, _HEADS * size)
    return torch.cat((front.reshape(rows, head, _HEADS * size), of_lessons), 1)


def _masks(layout: Layout, low: float = -1e9) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    def added(allowed: torch.Tensor) -> torch.Tensor:
        return torch.zeros(allowed.shape).masked_fill(~allowed, low)

    causal = torch.ones(layout.length, layout.length, dtype=torch.bool).tril()
    same = layout.lesson[..., :, None] == layout.lesson[..., None, :]
    return (
        added(torch.ones(layout.head, layout.head, dtype=torch.bool).tril()),
        added(layout.real)[:, None, None, None, None, :],
        added(causal & same)[:, None, :, None],
    )


class Reader:
    """Reads with a model's weights."""

    def __init__(
        self, model: Gemma4ForCausalLM, *, compiled: bool = True, narrow: torch.dtype = NARROW
    ) -> None:
        self.model = model
        self._narrow = narrow
        # Else sizes that are alike by chance count as always alike, and each exception is compiled anew, for a minute.
        shapes.use_duck_shape = False
        self._layer: Callable[..., torch.Tensor] = torch.compile(_layer, dynamic=True) if compiled else _layer

    def logits(
        self, ids: torch.Tensor, positions: torch.Tensor, layout: Layout, where: torch.Tensor
    ) -> torch.Tensor:
        """Return the logits of the tokens of a batch that `where` tells."""
        of = self.model.model
        embedding = of.embed_tokens.weight
        x = functional.embedding(ids, embedding) * embedding.shape[1] ** 0.5
        kinds = self.model.config.layer_types
        turns = {kind: of.rotary_emb(x, positions, kind) for kind in set(kinds)}
        masks = _masks(layout)
        for layer, kind in zip(of.layers, kinds, strict=True):
            a, m = layer.self_attn, layer.mlp
            matrices = (a.q_proj, a.k_proj, a.v_proj, a.o_proj, m.gate_proj, m.up_proj, m.down_proj)
            norms = (
                a.q_norm,
                a.k_norm,
                layer.input_layernorm,
                layer.post_attention_layernorm,
                layer.pre_feedforward_layernorm,
                layer.post_feedforward_layernorm,
            )
            weights = (*(one.weight.to(self._narrow) for one in matrices), *(one.weight for one in norms))
            read = self._layer if torch.is_grad_enabled() else _layer
            x = read(x, turns[kind], masks, weights, (layout.head, layout.slots, layout.length))
        x = _normed(x[where], of.norm.weight).to(self._narrow)
        cap = self.model.config.final_logit_softcapping
        return cap * torch.tanh((x @ embedding.T.to(self._narrow)).float() / cap)


def ensure_as_transformers(model: Gemma4ForCausalLM) -> None:
    """Raise `AssertionError` unless a lesson behind a shared head has the logits that transformers gives it alone."""
    ids = torch.arange(30, 30 + 58)[None]
    head, length = 24, 17  # Two slots, with two lessons in the first.
    positions = torch.cat([torch.arange(head), *(20 + torch.arange(size) for size in (9, 8, length))])[None]
    real = (torch.arange(head) < 20)[None]
    lesson = torch.tensor([[[0] * 9 + [1] * 8, [2] * length]])
    layout = Layout(head=head, slots=2, length=length, real=real, lesson=lesson)
    reader = Reader(model, compiled=False, narrow=torch.float32)
    with torch.no_grad():
        shared = reader.logits(ids, positions, layout, torch.ones_like(ids, dtype=torch.bool))
        for begin, end in ((24, 33), (33, 41), (41, 58)):
            alone = model(torch.cat((ids[:, :20], ids[:, begin:end]), 1)).logits[0, 20:]
            torch.testing.assert_close(shared[begin:end], alone, atol=1e-3, rtol=1e-3)
