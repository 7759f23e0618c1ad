"""Logistic regression on what was measured, as a torch module whose weights are found at once and not step by step."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

__all__ = ["Logistic", "share_of_first"]

_LIMIT = 5.0
"""Deviations beyond which a number is no further away."""
_PRIOR = 0.3
"""Weight of the squared distance to where the weights come from, in objects."""
_ROUNDS = 200
_FOLDS = 5
_MOST = 2000
_EVEN = 30.0
"""Weight of the squared distance to equal shares, in objects."""
_SHARPER = (0.5, 0.7, 1.0, 1.4, 2.0)


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
    share: Tensor
    """What the scores count beside those of others."""

    def __init__(self, numbers: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(numbers))
        self.register_buffer("deviation", torch.zeros(numbers))
        self.register_buffer("weight", torch.zeros(classes, numbers))
        self.register_buffer("bias", torch.zeros(classes))
        self.register_buffer("share", torch.ones(()))

    def forward(self, values: Tensor) -> Tensor:
        """Scores ``(B, K)`` of numbers ``(B, N)``."""
        return self.share * functional.linear(self.scaled(values), self.weight, self.bias)

    def scaled(self, values: Tensor) -> Tensor:
        """Numbers ``(B, N)`` in deviations from their mean, without outliers; 0 where nothing is known."""
        known = torch.isfinite(values) & (self.deviation > 0)
        relative = (values - self.mean) / self.deviation
        return torch.where(known, relative, torch.zeros_like(relative)).clamp(-_LIMIT, _LIMIT)

    @torch.no_grad()
    def learn(self, values: Tensor, targets: Tensor) -> None:
        """Find the weights under which the classes of some examples are least surprising.

        All classes count equally, and a step away from the weights there are costs something: from nothing that is ridge
        regularisation, from a model it keeps what the examples do not speak against.

        Parameters
        ----------
        values
            Numbers ``(B, N)`` of the examples; NaN where one is not known.
        targets
            Position of the class of each, ``(B,)``.
        """
        if not bool(self.deviation.any()):
            self._scale(values.cpu())  # in double precision, which not every device has
        scaled = self.scaled(values).cpu().double()
        before = torch.cat([self.weight, self.bias[:, None]], 1).cpu().double()
        ones = torch.ones(len(scaled), 1, dtype=scaled.dtype)
        after = _fitted(torch.cat([scaled, ones], 1), targets.cpu().long(), before)
        self.weight.copy_(after[:, :-1])
        self.bias.copy_(after[:, -1])

    @torch.no_grad()
    def foretold(self, values: Tensor, targets: Tensor) -> Tensor | None:
        """Scores ``(B, K)`` of each example by what `learn` finds without it and a fifth of the others.

        None where a class has a single example: nothing could be found without that.
        """
        counts = torch.bincount(targets.cpu())
        folds = min(_FOLDS, int(counts[counts > 0].min()))
        if folds < 2 or not values.shape[1]:
            return None
        within = torch.zeros(len(targets), dtype=torch.long, device=targets.device)
        for kind in targets.unique():
            members = (targets == kind).nonzero().flatten()
            within[members] = torch.arange(len(members), device=targets.device) % folds
        found = torch.zeros(len(targets), len(self.bias), device=values.device)
        for fold in range(folds):
            other = copy.deepcopy(self)
            other.share.fill_(1.0)
            other.learn(values[within != fold], targets[within != fold])
            found[within == fold] = other(values[within == fold])
        return found

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


@torch.no_grad()
def share_of_first(
    witnesses: tuple[Logistic, Logistic], values: tuple[Tensor, Tensor], targets: Tensor
) -> float:
    """What the first of two witnesses should count, 0 to 1, and the second the rest of it.

    Under these shares examples that neither has learned from surprise least; the fewer there are, the more equal the shares.

    Parameters
    ----------
    witnesses
        What each of them is asked with next.
    values
        Numbers ``(B, N)`` for the first, and for the second.
    targets
        Position of the class of each example, ``(B,)``.
    """
    part = slice(None, None, max(1, len(targets) // _MOST))
    said = [w.foretold(v[part], targets[part]) for w, v in zip(witnesses, values, strict=True)]
    first, second = said
    if first is None or second is None:
        return 0.5 if values[0].shape[1] else 0.0

    def surprise(share: float) -> float:
        mixed = share * first + (1 - share) * second
        each = [functional.cross_entropy(sharp * mixed, targets[part].long()) for sharp in _SHARPER]
        return float(torch.stack(each).min()) + _EVEN * (share - 0.5) ** 2 / len(first)

    return min((n / 20 for n in range(21)), key=surprise)


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
        loss.backward()
        return loss

    with torch.enable_grad():
        optimizer.step(surprise)
    return weights.detach()
