"""The model before it is taught: Gemma 4's architecture, with weights from which copying is soon learned."""

from __future__ import annotations

import torch
from transformers import Gemma4ForCausalLM, Gemma4TextConfig

HEAD = 64
ENDS = [1, 16, 9]
"""Of an answer: <eos>, <turn|>, <|tool_response>."""
_FREQUENCIES = 4
"""Of the rotary embedding, the fastest: they tell neighbours apart."""


def new_model(vocabulary: int, hidden: int, feed_forward: int, layers: int) -> Gemma4ForCausalLM:
    """Return the model that is to be taught."""
    config = Gemma4TextConfig(
        vocab_size=vocabulary,
        vocab_size_per_layer_input=vocabulary,
        hidden_size=hidden,
        intermediate_size=feed_forward,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=HEAD,
        global_head_dim=HEAD,
        sliding_window=1024,
        layer_types=[
            "sliding_attention" if one % 2 == 0 and one < layers - 1 else "full_attention"
            for one in range(layers)
        ],
        hidden_size_per_layer_input=0,
        num_kv_shared_layers=0,
        use_double_wide_mlp=False,
        max_position_embeddings=8192,
        final_logit_softcapping=30.0,
        tie_word_embeddings=True,
        bos_token_id=2,
        eos_token_id=ENDS,
        pad_token_id=0,
        attn_implementation="eager",
    )
    model = Gemma4ForCausalLM(config)
    with torch.no_grad():
        _begin(model, hidden)
    return model


def _begin(model: Gemma4ForCausalLM, hidden: int) -> None:
    """
    Set weights by which attention begins as matching and copying, not at random.

    After Trockman and Kolter, "Mimetic Initialization of Self-Attention Layers" (2023). Two heads of the first layer
    begin by looking at the token before and the one before that, so that a later layer can find what followed the same
    token earlier (Olsson et al., "In-context Learning and Induction Heads", 2022).
    """
    for name, one in model.named_parameters():
        if "embed_tokens" in name:
            one.copy_((0.4 + 0.9 * torch.randn_like(one)) * hidden**-0.5)
        elif "q_norm" in name or "k_norm" in name:
            one.fill_(0.7 if ".0." in name else 0.5)
        elif "post_" in name and "layernorm" in name:
            one.fill_(0.5 if "attention" in name else 0.3)
        elif one.ndim == 2:
            one.normal_(0, one.shape[1] ** -0.5)
    before = torch.zeros(hidden, hidden)
    for number, layer in enumerate(model.model.layers):
        attention = layer.self_attn
        q, k, v, o = (getattr(attention, f"{one}_proj").weight for one in "qkvo")
        _match_and_copy(q, k, v, o)
        if number == 0:
            _look_back(q, k, o)
            before = o[:, :HEAD] @ v[:HEAD]
        if number in {1, 3}:
            k[:HEAD] = q[:HEAD] @ before.T
        for one in (q, k, v, o):
            one.add_(torch.randn_like(one) * 0.01)


def _match_and_copy(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, o: torch.Tensor) -> None:
    """Let every head find what is like its own token, and carry it on as it is."""
    hidden = q.shape[1]
    unrotated = [*range(8, 32), *range(40, 64)]  # Of a head of a layer with full attention.
    for group in range(2):
        at = slice(group * HEAD, (group + 1) * HEAD)
        match = torch.zeros(HEAD, hidden)
        match[unrotated] = _orthonormal(len(unrotated), hidden)
        carry = _orthonormal(HEAD, hidden)
        k[at], v[at] = match, carry
        for head in (2 * group, 2 * group + 1):
            of = slice(head * HEAD, (head + 1) * HEAD)
            q[of], o[:, of] = match, carry.T


def _look_back(q: torch.Tensor, k: torch.Tensor, o: torch.Tensor) -> None:
    """Let two heads look one and two tokens back, by position alone: by what all embeddings have in common."""
    hidden = q.shape[1]
    common = torch.ones(hidden) / hidden * 8
    frequency = 10000.0 ** (-torch.arange(_FREQUENCIES) / 32)
    here = torch.zeros(HEAD)
    here[:_FREQUENCIES] = 1
    k[:HEAD] = here[:, None] * common[None]
    for head in (0, 1):
        there = torch.zeros(HEAD)
        there[:_FREQUENCIES] = torch.cos(-(head + 1) * frequency)
        there[32 : 32 + _FREQUENCIES] = torch.sin(-(head + 1) * frequency)
        at = slice(head * HEAD, (head + 1) * HEAD)
        q[at] = there[:, None] * common[None]
        o[:, at] = _orthonormal(hidden, HEAD)


def _orthonormal(rows: int, columns: int) -> torch.Tensor:
    wide = torch.linalg.qr(torch.randn(max(rows, columns), min(rows, columns)))[0]
    return wide if rows >= columns else wide.T
