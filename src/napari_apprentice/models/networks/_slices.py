"""Modules that read volumes slice by slice: convolutions within slices, recurrent cells between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from monai.networks.blocks.convolutions import Convolution, ResidualUnit
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["CnnRnn", "ConvGRU", "RecurrentUNet", "fold", "unfold"]


def fold(volume: Tensor, axis: int) -> Tensor:
    """Lay the slices of volumes one after the other: ``(B, C, *spatial)`` to ``(B * N, C, y, x)``.

    Parameters
    ----------
    volume
        Two or three spatial axes; two are a sequence of one slice.
    axis
        Spatial axis, from 0, along which the slices lie.
    """
    if volume.ndim == 4:
        return volume
    slices_first = volume.movedim(2 + axis, 1)
    return slices_first.reshape(-1, *slices_first.shape[2:])


def unfold(slices: Tensor, like: Tensor, axis: int) -> Tensor:
    """Undo `fold`: ``(B * N, K, y, x)`` to ``(B, K, *spatial)`` with the batch and slices of `like`."""
    if like.ndim == 4:
        return slices
    stacked = slices.reshape(len(like), like.shape[2 + axis], *slices.shape[1:])
    return stacked.movedim(1, 2 + axis)


class _ReadsSlices(nn.Module):
    """What networks that read a volume slice by slice have in common: `axis`, along which the slices lie."""

    axis: int

    def unfolded(self, features: Tensor, volume: Tensor) -> Tensor | None:
        """Features of slices where they lie in the volume that they are from; None where they are none of all slices."""
        slices = len(volume) if volume.ndim == 4 else len(volume) * volume.shape[2 + self.axis]
        if features.ndim != 4 or len(features) != slices:
            return None
        return unfold(features, volume, self.axis)


class ConvGRU(nn.Module):
    """Gated recurrent units whose products are convolutions, run up and down the slices at the same time.

    After Ballas et al., "Delving deeper into convolutional networks for learning video representations", ICLR 2016. Both
    directions have weights of their own in one grouped convolution, and the reset gate acts on the product of the state
    (as in cuDNN), not on the state: one convolution per slice instead of four, which is what most of the time goes into.

    Parameters
    ----------
    features
        Channels of a slice.
    hidden
        Channels of the state of each direction.
    kernel
        Width of the convolutions; the levels of a U-Net have seen around each place already, and wider ones take about
        twice as long.
    """

    def __init__(self, features: int, hidden: int, kernel: int = 1) -> None:
        super().__init__()
        pad = kernel // 2
        self.hidden = hidden
        self.of_slice = nn.Conv2d(features, 6 * hidden, kernel, padding=pad)
        self.of_state = nn.Conv2d(2 * hidden, 6 * hidden, kernel, padding=pad, groups=2)
        for gate in range(6):
            nn.init.orthogonal_(self.of_state.weight.data[gate * hidden : (gate + 1) * hidden])

    def forward(self, sequence: Tensor) -> Tensor:
        """Run over ``(B, N, F, y, x)``; returns both states at each slice, ``(B, N, 2 * hidden, y, x)``."""
        batch, count = sequence.shape[:2]
        of_slices = self.of_slice(sequence.flatten(0, 1)).unflatten(0, (batch, count))
        up, down = of_slices.chunk(2, dim=2)
        # One direction behind the other, as the groups of `of_state` are: (B, N, 2, 3 * hidden, y, x).
        said = torch.stack([up, down.flip(1)], dim=2)
        state = torch.zeros_like(said[:, 0, :, : self.hidden])
        states = []
        for of_slice in said.unbind(dim=1):
            of_state = self.of_state(state.flatten(1, 2)).unflatten(1, (2, -1))
            gates, new = of_slice.split((2 * self.hidden, self.hidden), dim=2)
            old_gates, old = of_state.split((2 * self.hidden, self.hidden), dim=2)
            update, reset = torch.sigmoid(gates + old_gates).chunk(2, dim=2)
            state = torch.lerp(state, torch.tanh(new + reset * old), update)
            states.append(state)
        both = torch.stack(states, dim=1)
        return torch.cat([both[:, :, 0], both[:, :, 1].flip(1)], dim=2)


class BothWays(nn.Module):
    """A `ConvGRU` over the slices; what it says, in a quarter of the features each way, is added to what came in."""

    def __init__(self, features: int) -> None:
        super().__init__()
        hidden = max(4, features // 4)
        self.cells = ConvGRU(features, hidden)
        self.join = nn.Conv2d(2 * hidden, features, 1)
        self.both = nn.Identity()  # a place to look at the sum: Grad-CAM hooks modules

    def forward(self, slices: Tensor, batch: int) -> Tensor:
        """Let slices ``(B * N, F, y, x)`` know of their neighbours; `batch` says how many volumes they are of."""
        states = self.cells(slices.unflatten(0, (batch, -1)))
        said: Tensor = self.join(states.flatten(0, 1))
        result: Tensor = self.both(slices + said)
        return result


class RecurrentUNet(_ReadsSlices):
    """Levels down, `BothWays` at the deepest ones, and up again with skip connections; ``(B, C, *spatial)`` to ``(B, K, *spatial)``.

    Parameters
    ----------
    in_channels, out_channels
        C and K.
    widths
        Features of each level, top first.
    recurrent
        How many of the deepest levels know of neighbouring slices.
    axis
        Spatial axis of the slices.
    """

    def __init__(
        self, in_channels: int, out_channels: int, widths: Sequence[int], recurrent: int, axis: int
    ) -> None:
        super().__init__()
        self.axis = axis
        levels = list(enumerate(zip((in_channels, *widths[:-1]), widths, strict=True)))
        self.down = nn.ModuleList(
            ResidualUnit(2, i, o, strides=2, subunits=2) for _, (i, o) in levels
        )
        first = len(widths) - recurrent
        self.between = nn.ModuleDict({str(n): BothWays(o) for n, (_, o) in levels if n >= first})
        steps = list(zip(widths[1:], widths[:-1], strict=True))[::-1]
        self.rise = nn.ModuleList(
            Convolution(2, i, o, strides=2, is_transposed=True) for i, o in steps
        )
        self.up = nn.ModuleList(ResidualUnit(2, 2 * o, o, subunits=1) for _, o in steps)
        # As in MONAI's U-Net: full resolution only with as many channels as there are answers.
        self.last = nn.Sequential(
            Convolution(2, widths[0], out_channels, strides=2, is_transposed=True),
            ResidualUnit(2, out_channels, out_channels, subunits=1, last_conv_only=True),
        )

    def forward(self, volume: Tensor) -> Tensor:
        """Score every voxel."""
        slices = fold(volume, self.axis)
        skips: list[Tensor] = []
        for number, level in enumerate(self.down):
            slices = level(slices)
            if str(number) in self.between:
                slices = self.between[str(number)](slices, len(volume))
            skips.append(slices)
        skips.pop()
        for rise, level in zip(self.rise, self.up, strict=True):
            slices = level(torch.cat([rise(slices), skips.pop()], dim=1))
        return unfold(self.last(slices), volume, self.axis)


class CnnRnn(_ReadsSlices):
    """The CNN sees all slices at once; only the recurrent cell goes from slice to slice; ``(B, C, *spatial)`` to ``(B, K)``.

    Parameters
    ----------
    in_channels, out_channels
        C and K.
    widths
        Features of each block of the CNN.
    cell
        ``nn.GRU`` or ``nn.LSTM``.
    hidden
        Units of the cell in each direction.
    dropout
        Share of units dropped before the last layer.
    axis
        Spatial axis of the slices.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        widths: Sequence[int],
        cell: type[nn.GRU] | type[nn.LSTM],
        hidden: int,
        dropout: float,
        axis: int,
    ) -> None:
        super().__init__()
        self.axis = axis
        blocks: list[nn.Module] = []
        for i, o in zip((in_channels, *widths[:-1]), widths, strict=True):
            blocks += [
                Convolution(2, i, o, act="RELU", norm="batch", adn_ordering="NA"),
                nn.MaxPool2d(2),
            ]
        self.cnn = nn.Sequential(*blocks)
        self.rnn = cell(widths[-1], hidden, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(4 * hidden, out_channels)

    def forward(self, volume: Tensor) -> Tensor:
        """Score every volume."""
        seen = self.cnn(fold(volume, self.axis)).mean(dim=(-2, -1))
        states, _ = self.rnn(seen.unflatten(0, (len(volume), -1)))
        both = torch.cat([states.mean(dim=1), states.amax(dim=1)], dim=1)
        result: Tensor = self.last(self.dropout(both))
        return result
