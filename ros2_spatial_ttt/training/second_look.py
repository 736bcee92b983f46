# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The network of the second look: one detection, cut out, to what it is (``second_look.onnx``).

A small convolutional network sees picture and shape of the cut-out together (as the region heads
of two-stage detectors do, Girshick et al. 2014); what it says is added to the logarithms of the
shares that the first look gives each name, so it begins as the first look and learns to differ.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ros2_spatial_ttt.memory.second_look import KNOWN
from ros2_spatial_ttt.training.model import Residual, convolution

__all__ = ['SecondLook', 'SecondLookGraph']

WIDTHS = (24, 48, 96, 128)
HIDDEN = 192
CHANNELS = 7  # colour, place and whether it is known
LEAST_SHARE = 1e-3
DROPPED = 0.2


class SecondLook(nn.Module):
    """Scores of nothing and of K names for n detections.

    Args:
        names: K.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, names: int) -> None:
        super().__init__()
        first, second, third, last = WIDTHS
        self.stem = nn.Sequential(
            convolution(CHANNELS, first, size=4, stride=2),
            convolution(first, second, stride=2),
            Residual(second),
            convolution(second, third, stride=2),
            Residual(third),
            Residual(third),
            convolution(third, last, stride=2),
            Residual(last),
        )
        self.join = nn.Linear(2 * last + KNOWN + 1 + names, HIDDEN)
        self.hidden = nn.Linear(HIDDEN, HIDDEN)
        self.names = nn.Linear(HIDDEN, 1 + names)
        self.trust = nn.Parameter(torch.ones(1))  # in the shares of the first look
        nn.init.zeros_(self.names.weight)
        nn.init.zeros_(self.names.bias)
        # Of the known numbers, over the cut-outs it is trained on.
        self.register_buffer('mean', torch.zeros(KNOWN))
        self.register_buffer('deviation', torch.ones(KNOWN))

    def forward(self, seen: Tensor, known: Tensor) -> Tensor:
        """Return scores (n, 1 + K).

        Args:
            seen: (n, 7, CROP, CROP), colour in -1..1, then ``Crops.place``.
            known: (n, KNOWN + K).
        """
        x = self.stem(seen)
        numbers = (known[:, :KNOWN] - self.mean) / self.deviation
        shares = torch.clamp(known[:, KNOWN:], min=LEAST_SHARE)
        nothing = torch.clamp(1.0 - shares.sum(dim=1, keepdim=True), min=10.0 * LEAST_SHARE)
        first = torch.log(torch.cat([nothing, shares], dim=1))
        told = torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3)), numbers, 0.3 * first], dim=1)
        x = nn.functional.dropout(torch.relu(self.join(told)), DROPPED, self.training)
        x = nn.functional.dropout(torch.relu(self.hidden(x)), DROPPED, self.training)
        return self.trust * first + self.names(x)


class SecondLookGraph(nn.Module):
    """The same on arrays of ``memory.second_look.Crops``, to probabilities."""

    inputs = ('picture', 'place', 'known')
    outputs = ('names',)

    def __init__(self, net: SecondLook) -> None:
        super().__init__()
        self.net = net

    def forward(self, picture: Tensor, place: Tensor, known: Tensor) -> Tensor:
        """Return probabilities (n, 1 + K), of nothing first."""
        seen = torch.cat([picture.to(torch.float32) / 127.5 - 1.0, place], dim=3)
        return torch.softmax(self.net(seen.permute(0, 3, 1, 2), known), dim=1)
