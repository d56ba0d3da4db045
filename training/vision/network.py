"""The network: heatmaps of the object's vertices, read by soft-argmax, with a deviation each."""

import torch
from torch import nn

from inhand.perception.keypoints.window import PIXELS

STRIDE = 4
"""Pixels of the window per cell of a heatmap."""

LEAST, MOST = -5.0, 1.0
"""Bounds of the logarithm of a deviation, which is in units of half the window."""


class _Block(nn.Module):
    """Depthwise convolution and an inverted bottleneck with a shortcut (MobileNet v2)."""

    def __init__(self, width: int, dilation: int = 1) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(
                width, width, 5, padding=2 * dilation, dilation=dilation, groups=width, bias=False
            ),
            nn.BatchNorm2d(width),
            nn.Conv2d(width, 2 * width, 1),
            nn.ReLU(),
            nn.Conv2d(2 * width, width, 1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        changed: torch.Tensor = self.layers(x)
        return x + changed


class KeypointNetwork(nn.Module):
    """Finds the vertices of one object in windows.

    Args:
        vertices: number of the object's vertices.
        width: channels at the heatmaps' size.
    """

    def __init__(self, vertices: int, width: int = 64) -> None:
        super().__init__()
        half = width // 2
        self.stem = nn.Sequential(
            nn.Conv2d(3, half, 5, stride=2, padding=2), nn.BatchNorm2d(half), nn.ReLU(),
            nn.Conv2d(half, width, 3, stride=2, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
        )  # fmt: skip
        self.local = nn.Sequential(_Block(width), _Block(width))
        deep = 3 * width // 2
        self.down = nn.Sequential(
            nn.Conv2d(width, deep, 3, stride=2, padding=1), nn.BatchNorm2d(deep), nn.ReLU()
        )
        self.whole = nn.Sequential(*(_Block(deep, dilation) for dilation in (1, 2, 1, 2)))
        self.up = nn.Conv2d(deep, width, 1)
        self.merge = nn.Sequential(_Block(width), nn.BatchNorm2d(width), nn.ReLU())
        self.heat = nn.Conv2d(width, vertices, 1)
        self.spread = nn.Conv2d(width, vertices, 1)
        self.context = nn.Linear(deep, vertices)
        self.presence = nn.Linear(deep, 1)
        cells = PIXELS // STRIDE
        line = (torch.arange(cells) + 0.5) / cells * 2 - 1
        self.line: torch.Tensor
        self.register_buffer("line", line)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Vertices, deviations and presence.

        Args:
            images: (n, 3, 96, 96), RGB from 0 to 255.

        Returns:
            points: units of half the window, (n, vertices, 2).
            log_deviation: logarithm of the deviation of a coordinate, same unit, (n, vertices).
            presence: logit that the object is in the window, (n,).
        """
        fine = self.local(self.stem(images / 127.5 - 1.0))
        deep = self.whole(self.down(fine))
        raised = nn.functional.interpolate(self.up(deep), scale_factor=2.0, mode="nearest")
        merged = self.merge(fine + raised)
        share = torch.softmax(self.heat(merged).float().flatten(2), dim=-1).reshape(
            -1, self.heat.out_channels, PIXELS // STRIDE, PIXELS // STRIDE
        )
        x = (share.sum(dim=2) * self.line).sum(dim=-1)
        y = (share.sum(dim=3) * self.line).sum(dim=-1)
        pooled = deep.mean(dim=(2, 3))
        spread = (share * self.spread(merged)).sum(dim=(2, 3)) + self.context(pooled)
        middle, reach = (LEAST + MOST) / 2, (MOST - LEAST) / 2
        return (
            torch.stack([x, y], dim=-1),
            middle + reach * torch.tanh((spread - 1.0) / reach),
            self.presence(pooled)[:, 0],
        )


def loss(
    output: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    points: torch.Tensor,
    present: torch.Tensor,
    margin: float = 0.95,
) -> torch.Tensor:
    """Negative log-likelihood of the vertices, and cross-entropy of presence.

    The likelihood is a two-dimensional Laplace distribution: hidden vertices have long tails.
    Vertices outside of the window cannot be found, and do not count.
    """
    found, log_deviation, presence = output
    distance = ((found - points) ** 2).sum(dim=-1).add(1e-6).sqrt()
    likelihood = distance * torch.exp(-log_deviation) * 2**0.5 + 2 * log_deviation
    inside = (points.abs().amax(dim=-1) < margin) & present[:, None]
    weight = inside.float()
    own = ((likelihood + 3.0 * distance) * weight).sum() / weight.sum().clamp(min=1.0)
    entropy = nn.functional.binary_cross_entropy_with_logits(presence, present.float())
    return own + entropy
