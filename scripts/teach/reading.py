"""
How a model reads lessons that share the head of their prompt: each lesson as if it stood alone behind the head.

The same sums as transformers' Gemma 4, which `ensure_as_transformers` looks at before each lesson, without what the layers of
these models do not use. Nothing is padded but what is left of a slot; what is done to each token alone is compiled, once for all
layers; the last layer looks only from where something is learned. All is in float32: CPUs that multiply bfloat16 by AVX-512 were
found to take twice as long for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch.fx.experimental import _config as shapes
from torch.nn import functional
from transformers import Gemma4ForCausalLM

from attention import KEYS, LookingAttention, Row, SharedAttention

_Turn = tuple[torch.Tensor, torch.Tensor]
"""Cosine and sine of each token's position, for half a head: both halves have the same."""

_UNLIKE = 0.01
"""How far a gradient may be from transformers' own, as a share of it: it is a sum over many tokens, in another order."""


def _normed(x: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
    x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)
    return x if weight is None else x * weight


def _rotated(h: torch.Tensor, weight: torch.Tensor, norm: torch.Tensor, turn: _Turn) -> torch.Tensor:
    """
    Return normed queries or keys, rotated by their positions.

    Both halves are made apart, by a product each: gradients of a tensor that is cut take far longer.
    """
    size = norm.shape[0]
    cuts = weight.view(-1, 2, size // 2, h.shape[1]).unbind(1)
    one, other = ((h @ cut.reshape(-1, h.shape[1]).T).view(h.shape[0], -1, size // 2) for cut in cuts)
    squares = one.pow(2).sum(-1, keepdim=True) + other.pow(2).sum(-1, keepdim=True)
    scale = torch.rsqrt(squares / size + 1e-6)
    one, other = (x * scale * of for x, of in zip((one, other), norm.view(2, -1).unbind(0), strict=True))
    cos, sin = turn
    return torch.cat((one * cos - other * sin, other * cos + one * sin), -1)


def _queries(
    x: torch.Tensor, before: torch.Tensor, q: torch.Tensor, norm: torch.Tensor, turn: _Turn
) -> torch.Tensor:
    return _rotated(_normed(x, before), q, norm, turn)


def _keys_and_values(
    x: torch.Tensor, before: torch.Tensor, weights: Sequence[torch.Tensor], turn: _Turn
) -> tuple[torch.Tensor, torch.Tensor]:
    k, v, norm = weights
    h = _normed(x, before)
    return _rotated(h, k, norm, turn), _normed((h @ v.T).view(x.shape[0], KEYS, -1), None)


def _gone_on(x: torch.Tensor, found: torch.Tensor, weights: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return a layer's output from its input and what attention found."""
    o, after, before, gate, up, down, after_mlp = weights
    x = x + _normed(found.flatten(1) @ o.T, after)
    h = _normed(x, before)
    g = h @ gate.T
    # GELU by tanh, written with a sigmoid, which takes half the time.
    g = g * torch.sigmoid(1.5957691216057308 * (g + 0.044715 * g * g * g))
    return x + _normed((g * (h @ up.T)) @ down.T, after_mlp)


class Reader:
    """Reads with a model's weights."""

    def __init__(self, model: Gemma4ForCausalLM, *, compiled: bool = True) -> None:
        self.model = model
        # Else sizes that are alike by chance count as always alike, and each exception is compiled anew.
        shapes.use_duck_shape = False
        self._compiled: list[Callable[..., torch.Tensor]] = [
            torch.compile(one, dynamic=True) if compiled else one
            for one in (_queries, _keys_and_values, _gone_on)
        ]

    def logits(
        self, ids: torch.Tensor, positions: torch.Tensor, rows: Sequence[Row], where: torch.Tensor
    ) -> torch.Tensor:
        """Return the logits of the tokens that `where` numbers, in order."""
        of = self.model.model
        embedding = of.embed_tokens.weight
        x = functional.embedding(ids, embedding) * embedding.shape[1] ** 0.5
        kinds = self.model.config.layer_types
        turns = {kind: _turn(*of.rotary_emb(x[None], positions[None], kind)) for kind in set(kinds)}
        eager = (_queries, _keys_and_values, _gone_on)
        queries, keys_and_values, gone_on = self._compiled if torch.is_grad_enabled() else eager
        for number, (layer, kind) in enumerate(zip(of.layers, kinds, strict=True)):
            last = number == len(kinds) - 1
            a, m, turn = layer.self_attn, layer.mlp, turns[kind]
            before = layer.input_layernorm.weight
            kv = (a.k_proj.weight, a.v_proj.weight, a.k_norm.weight)
            key, value = keys_and_values(x, before, kv, turn)
            if last:
                x, turn = x[where], (turn[0][where], turn[1][where])
            query = queries(x, before, a.q_proj.weight, a.q_norm.weight, turn)
            attention = LookingAttention if last else SharedAttention
            found = attention.apply(rows, query, key, value)
            parts = (
                a.o_proj,
                layer.post_attention_layernorm,
                layer.pre_feedforward_layernorm,
                m.gate_proj,
                m.up_proj,
                m.down_proj,
                layer.post_feedforward_layernorm,
            )
            x = gone_on(x, found, tuple(one.weight for one in parts))
        cap = self.model.config.final_logit_softcapping
        return cap * torch.tanh(_normed(x, of.norm.weight) @ embedding.T / cap)


def _turn(cos: torch.Tensor, sin: torch.Tensor) -> _Turn:
    half = cos.shape[-1] // 2
    return cos[0, :, None, :half].contiguous(), sin[0, :, None, :half].contiguous()


def ensure_as_transformers(model: Gemma4ForCausalLM) -> None:
    """Raise `AssertionError` unless lessons behind shared heads have the logits, and gradients, that transformers gives each alone."""
    head, lengths = 20, (9, 8, 17)  # Two slots, with two lessons in the first.
    lesson = torch.tensor([[0] * 9 + [1] * 8, [2] * 17])
    size = head + sum(lengths)
    ids = torch.arange(30, 30 + 2 * size)
    positions = torch.cat([torch.arange(head), *(head + torch.arange(one) for one in lengths)]).repeat(2)
    looking = torch.arange(head, size)
    rows = [Row.laid_out(one * size, head, lesson, looking, one * len(looking)) for one in range(2)]
    where = torch.cat([row.begin + looking for row in rows])
    shared = Reader(model, compiled=False).logits(ids, positions, rows, where)
    alone = []
    for row in rows:
        ends = torch.tensor(lengths).cumsum(0) + row.begin + head
        for end, length in zip(ends.tolist(), lengths, strict=True):
            read = torch.cat((ids[row.begin : row.begin + head], ids[end - length : end]))
            alone.append(model(read[None]).logits[0, head:])
    torch.testing.assert_close(shared, torch.cat(alone), atol=1e-3, rtol=1e-3)
    weights = torch.linspace(-1, 1, shared.numel()).sin().view_as(shared)
    parameters = list(model.parameters())
    of_shared, of_alone = (
        torch.autograd.grad((logits * weights).sum(), parameters) for logits in (shared, torch.cat(alone))
    )
    for got, wanted in zip(of_shared, of_alone, strict=True):
        assert (got - wanted).norm() < _UNLIKE * wanted.norm()
