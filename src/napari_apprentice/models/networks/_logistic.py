"""Logistic regression on what was measured, as a torch module whose weights are found at once and not step by step."""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

__all__ = ["Logistic"]

_LIMIT = 5.0
"""Deviations beyond which a number is no further away."""
_PRIOR = 0.3
"""Weight of the squared distance to where the weights come from, in objects."""
_ROUNDS = 200


class Logistic(nn.Module):
    """Scores of classes from numbers that are brought to mean 0 and deviation 1.

    Nothing of it is learned by gradient steps: `learn` finds the one best answer, however few examples there are. Numbers
    that are not known (NaN), and those that were the same for all examples, say nothing.

    Parameters
    ----------
    numbers
        How many there are.
    classes
        How many scores are asked for.
    """

    mean: Tensor
    deviation: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, numbers: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(numbers))
        self.register_buffer("deviation", torch.zeros(numbers))
        self.register_buffer("weight", torch.zeros(classes, numbers))
        self.register_buffer("bias", torch.zeros(classes))

    def forward(self, values: Tensor) -> Tensor:
        """Scores ``(B, K)`` of numbers ``(B, N)``."""
        return functional.linear(self.scaled(values), self.weight, self.bias)

    def scaled(self, values: Tensor) -> Tensor:
        """Numbers ``(B, N)`` in deviations from their mean, without outliers; 0 where nothing is known."""
        known = torch.isfinite(values) & (self.deviation > 0)
        relative = (values - self.mean) / self.deviation
        return torch.where(known, relative, torch.zeros_like(relative)).clamp(-_LIMIT, _LIMIT)

    @torch.no_grad()
    def learn(self, values: Tensor, targets: Tensor, share: float = 1.0) -> None:
        """Find the weights under which the classes of some examples are least surprising.

        All classes count equally, and a step away from the weights there are costs something: from nothing that is ridge
        regularisation, from a model it keeps what the examples do not speak against.

        Parameters
        ----------
        values
            Numbers ``(B, N)`` of the examples; NaN where one is not known.
        targets
            Position of the class of each, ``(B,)``.
        share
            By how much scores are multiplied in the end: several witnesses of the same thing must not be too sure.
        """
        if not bool(self.deviation.any()):
            self._scale(values)
        scaled = self.scaled(values).cpu().double()
        before = torch.cat([self.weight, self.bias[:, None]], 1).cpu().double() / share
        ones = torch.ones(len(scaled), 1, dtype=scaled.dtype)
        after = share * _fitted(torch.cat([scaled, ones], 1), targets.cpu().long(), before)
        self.weight.copy_(after[:, :-1])
        self.bias.copy_(after[:, -1])

    def _scale(self, values: Tensor) -> None:
        known = torch.isfinite(values)
        count = known.sum(0).clamp_min(1)
        exact = torch.where(known, values, torch.zeros_like(values)).double()
        mean = exact.sum(0) / count
        spread = torch.where(known, exact - mean, torch.zeros_like(exact)).square().sum(0) / count
        deviation = spread.sqrt()
        self.mean.copy_(mean)
        # What differs by rounding only is the same.
        self.deviation.copy_(torch.where(deviation > 1e-6 * mean.abs(), deviation, 0.0))


def _fitted(values: Tensor, targets: Tensor, start: Tensor) -> Tensor:
    """Weights ``(K, N)`` near `start` for numbers ``(B, N)`` (L-BFGS with line search)."""
    counts = torch.bincount(targets, minlength=len(start)).to(values.dtype)
    share = 1.0 / (counts[targets] * (counts > 0).sum())
    weights = start.clone().requires_grad_(True)
    optimizer = torch.optim.LBFGS([weights], max_iter=_ROUNDS, line_search_fn="strong_wolfe")

    def surprise() -> Tensor:
        optimizer.zero_grad()
        each = functional.cross_entropy(values @ weights.T, targets, reduction="none")
        loss = (share * each).sum() + _PRIOR / len(targets) * (weights - start).square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    with torch.enable_grad():
        optimizer.step(surprise)  # type: ignore[no-untyped-call]
    return weights.detach()
