"""An optimizer for the matrices of a small model on a CPU."""

from __future__ import annotations

from collections.abc import Sequence

import torch


class Muon:
    """
    Momentum whose steps are made orthogonal.

    Jordan, "Muon: An optimizer for hidden layers in neural networks" (2024). Matrices of one shape are taken together, and
    in the precision that the CPU is fast in: torch's own always takes bfloat16, which a CPU without it emulates at a tenth
    of the speed.
    """

    def __init__(self, matrices: Sequence[torch.Tensor], *, decay: float = 0.01) -> None:
        self._decay = decay
        self._groups: dict[tuple[int, ...], list[torch.Tensor]] = {}
        for one in matrices:
            self._groups.setdefault(tuple(one.shape), []).append(one)
        self._momenta = {shape: torch.zeros(len(of), *shape) for shape, of in self._groups.items()}

    def step(self, rate: float) -> None:
        """Change the matrices by their gradients."""
        with torch.no_grad():
            for shape, of in self._groups.items():
                gradient = torch.stack([one.grad for one in of])
                momentum = self._momenta[shape].lerp_(gradient, 0.05)
                steps = orthogonalized(gradient.lerp(momentum, 0.95))
                # As large as Adam's would be: Liu et al., "Muon is scalable for LLM training" (2025).
                size = rate * 0.2 * max(shape) ** 0.5
                for one, step in zip(of, steps, strict=True):
                    one.mul_(1 - self._decay * rate).sub_(step, alpha=size)


def orthogonalized(x: torch.Tensor) -> torch.Tensor:
    """Return the matrices with all their singular values near 1, by five steps of Newton and Schulz."""
    tall = x.shape[1] > x.shape[2]
    x = x.transpose(1, 2) if tall else x
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        square = x @ x.transpose(1, 2)
        square = torch.baddbmm(square, square, square, beta=-4.7750, alpha=2.0315)
        x = torch.baddbmm(x, square, x, beta=3.4445)
    return x.transpose(1, 2) if tall else x
