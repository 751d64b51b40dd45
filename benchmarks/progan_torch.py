"""ProGAN's generator in PyTorch, in the style of the port that GANSpace uses.

benchmarks/full_size.py compares its speed with ours. Parameter names are netdissect's,
so the converter progan_netdissect reads the state dict.
"""

import math

import torch
from torch import nn
from torch.nn import functional


def pixel_norm(x: torch.Tensor) -> torch.Tensor:
    """Returns x scaled to unit mean square over the channels."""
    return x * torch.rsqrt(torch.mean(x**2, dim=1, keepdim=True) + 1e-8)


class Scale(nn.Module):
    """The bias of a layer, and the factor of its weights."""

    def __init__(self, channels: int, fan_in: int, gain: float):
        super().__init__()
        self.b, self.factor = nn.Parameter(torch.zeros(channels)), gain / math.sqrt(fan_in)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.factor + self.b.view(1, -1, 1, 1)


class Layer(nn.Module):
    """A convolution with equalised learning rate; `up` doubles the image first."""

    def __init__(self, in_channels: int, out_channels: int, size: int, *, up: bool = False, gain: float = math.sqrt(2)):
        super().__init__()
        padding = {4: 3, 3: 1, 1: 0}[size]
        self.conv = nn.Conv2d(in_channels, out_channels, size, padding=padding, bias=False)
        nn.init.normal_(self.conv.weight)
        self.wscale, self.up = Scale(out_channels, size**2 * in_channels, gain), up

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.up:
            x = functional.interpolate(x, scale_factor=2, mode="nearest")
        return self.wscale(self.conv(x))


class Generator(nn.Module):
    """ProGAN's generator.

    Args:
        channels: Channels of the layers at 4x4, 8x8, ... pixels.
        z_dim: Size of z.
    """

    def __init__(self, channels: tuple[int, ...], z_dim: int = 512):
        super().__init__()
        widths = [z_dim, *(width for width in channels for _ in range(2))]
        self.depth = len(widths) - 1
        for index in range(1, self.depth + 1):
            size, up = 4 if index == 1 else 3, index > 2 and index % 2 == 1
            setattr(self, f"layer{index}", Layer(widths[index - 1], widths[index], size, up=up))
        self.output = Layer(widths[-1], 3, 1, gain=1.0)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        x = pixel_norm(z[:, :, None, None])
        for index in range(1, self.depth + 1):
            x = pixel_norm(functional.leaky_relu(getattr(self, f"layer{index}")(x), 0.2))
        return self.output(x)
