"""
Attention of lessons that share the head of their prompt, with its gradient.

Not compiled: for one head of one row, scores fit into the processor's cache, where each pass over them is cheap. Scores are not
searched for their greatest before `exp`, as queries and keys are normed; what must not be seen is taken out behind it, as `exp` takes
ten times as long where nothing is left. Weights are scaled behind the product with the values,
where a query has 64 numbers and not hundreds, and the gradient takes one way through the weights: Dao et al., "FlashAttention"
(2022), section 3.1 and appendix B.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

HEADS, KEYS = 4, 2
"""Of a layer: heads, and those of them that have keys and values of their own."""
_Tensors = tuple[torch.Tensor, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Where a prompt's head and its lessons lie in a batch: a head, then slots of one length, with lessons one behind another."""

    begin: int
    head: int
    slots: int
    length: int
    of_slots: torch.Tensor
    """1 where a token sees another of its slot: slots by `length` by `length`."""
    looking: slice
    """Of the tokens that something is learned from, those of this row."""
    of_looking: torch.Tensor
    """1 where they see a token of the row: these by all of them."""

    @classmethod
    def laid_out(cls, begin: int, head: int, lesson: torch.Tensor, where: torch.Tensor, first: int) -> Row:
        """
        Return a row of lessons.

        `lesson` is slots by length: the lesson that a token is part of, -1 where there is none; `where` are the tokens of the row
        that something is learned from, `first` how many there are in rows before.
        """
        same = lesson[:, :, None] == lesson[:, None]
        part = torch.cat((torch.full((head,), -2), lesson.flatten()))
        seen = (part == -2) | (part == part[where][:, None])
        return cls(
            begin=begin,
            head=head,
            slots=lesson.shape[0],
            length=lesson.shape[1],
            of_slots=same.tril().float(),
            looking=slice(first, first + len(where)),
            of_looking=(seen & (torch.arange(len(part)) <= where[:, None])).float(),
        )

    @property
    def end(self) -> int:
        """Return where the next one begins."""
        return self.begin + self.head + self.slots * self.length


class SharedAttention(torch.autograd.Function):  # type: ignore[misc] # types are checked without torch
    """All tokens: what stands in a head sees the head up to itself, what stands in a slot sees the head and its own lesson."""

    @staticmethod
    def forward(
        ctx: Any, rows: Sequence[Row], q: torch.Tensor, k: torch.Tensor, v: torch.Tensor
    ) -> torch.Tensor:  # Any: torch's context
        """Return what queries find; all are tokens by heads by size."""
        found = torch.empty_like(q)
        kept: list[torch.Tensor] = []
        for row, parts in _each(rows, q, k, v, found):
            query, key, value, out = parts
            head = row.head
            back = query @ key[:head].T
            back.exp_()[:head].tril_()
            slot_q, slot_k, slot_v = (_in_slots(one, row) for one in (query, key, value))
            within = (slot_q @ slot_k.transpose(1, 2)).exp_().mul_(row.of_slots)
            total = back.sum(1, keepdim=True)
            total[head:] += within.sum(2).view(-1, 1)
            of_row = back @ value[:head]
            _in_slots(of_row, row).baddbmm_(within, slot_v)
            torch.div(of_row, total, out=out)
            kept += (back, within, total)
        ctx.rows = rows
        ctx.save_for_backward(q, k, v, found, *kept)
        return found

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # Any: torch's context
        """Return the gradients of queries, keys and values."""
        q, k, v, found, *kept = ctx.saved_tensors
        of_q, of_k, of_v = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        weights = iter(kept)
        for row, parts in _each(ctx.rows, q, k, v, found, gradient, of_q, of_k, of_v):
            query, key, value, out, by_found, to_q, to_k, to_v = parts
            back, within, total = next(weights), next(weights), next(weights)
            head = row.head
            given = by_found / total
            lost = (given * out).sum(1, keepdim=True).neg_()
            slot_q, slot_k, slot_v, slot_given = (_in_slots(one, row) for one in (query, key, value, given))
            slot_lost = lost[head:].view(row.slots, row.length, 1)
            to_v[:head].addmm_(back.T, given)
            _in_slots(to_v, row).baddbmm_(within.transpose(1, 2), slot_given)
            of_back = torch.addmm(lost, given, value[:head].T).mul_(back)
            of_within = torch.baddbmm(slot_lost, slot_given, slot_v.transpose(1, 2)).mul_(within)
            torch.mm(of_back, key[:head], out=to_q)
            _in_slots(to_q, row).baddbmm_(of_within, slot_k)
            to_k[:head].addmm_(of_back.T, query)
            _in_slots(to_k, row).baddbmm_(of_within.transpose(1, 2), slot_q)
        return None, of_q, of_k, of_v


class LookingAttention(torch.autograd.Function):  # type: ignore[misc] # types are checked without torch
    """Only those tokens that something is learned from, and all that they see."""

    @staticmethod
    def forward(
        ctx: Any, rows: Sequence[Row], q: torch.Tensor, k: torch.Tensor, v: torch.Tensor
    ) -> torch.Tensor:  # Any: torch's context
        """Return what queries find."""
        found = torch.empty_like(q)
        kept: list[torch.Tensor] = []
        for row, (query, out), (key, value) in _each_looking(rows, (q, found), (k, v)):
            weights = (query @ key.T).exp_().mul_(row.of_looking)
            total = weights.sum(1, keepdim=True)
            torch.div(weights @ value, total, out=out)
            kept += (weights, total)
        ctx.rows = rows
        ctx.save_for_backward(q, k, v, found, *kept)
        return found

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # Any: torch's context
        """Return the gradients of queries, keys and values."""
        q, k, v, found, *kept = ctx.saved_tensors
        of_q, of_k, of_v = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        all_weights = iter(kept)
        looking, seen = (q, found, gradient, of_q), (k, v, of_k, of_v)
        for _, (query, out, by_found, to_q), (key, value, to_k, to_v) in _each_looking(
            ctx.rows, looking, seen
        ):
            weights, total = next(all_weights), next(all_weights)
            given = by_found / total
            lost = (given * out).sum(1, keepdim=True).neg_()
            to_v.addmm_(weights.T, given)
            of_scores = torch.addmm(lost, given, value.T).mul_(weights)
            torch.mm(of_scores, key, out=to_q)
            to_k.addmm_(of_scores.T, query)
        return None, of_q, of_k, of_v


def _of_head(x: torch.Tensor, head: int) -> torch.Tensor:
    return x[:, head * x.shape[1] // HEADS]


def _each(rows: Sequence[Row], *tensors: torch.Tensor) -> Iterator[tuple[Row, _Tensors]]:
    """Yield each row with what is one head's of each tensor."""
    for row in rows:
        for head in range(HEADS):
            yield row, tuple(_of_head(one[row.begin : row.end], head) for one in tensors)


def _each_looking(
    rows: Sequence[Row], looking: _Tensors, seen: _Tensors
) -> Iterator[tuple[Row, _Tensors, _Tensors]]:
    for row in rows:
        for head in range(HEADS):
            yield (
                row,
                tuple(_of_head(one[row.looking], head) for one in looking),
                tuple(_of_head(one[row.begin : row.end], head) for one in seen),
            )


def _in_slots(x: torch.Tensor, row: Row) -> torch.Tensor:
    """Return what stands in a row's slots, slot by slot: a view."""
    return x[row.head :].unflatten(0, (row.slots, row.length))
