"""StyleGAN's generator in PyTorch, in the style of the port that GANSpace uses.

benchmarks/full_size.py compares its speed with ours. Parameter names are those of the
port's converter, so the converter stylegan_ganspace reads the state dict. The port
draws its noise images. Here they are arguments, so that both programs make the same
image.
"""

import math

import torch
from torch import nn
from torch.nn import functional

EPSILON = 1e-5  # of the instance norm: PyTorch's default, which the port keeps
FUSED_FROM = 128  # smallest resolution whose doubling and convolution are one operation


class Linear(nn.Module):
    """A linear layer with equalised learning rate."""

    def __init__(self, in_features: int, out_features: int, *, gain: float, rate: float = 1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / rate)
        self.bias = nn.Parameter(torch.zeros(out_features))
        self.scale, self.rate = gain * rate / math.sqrt(in_features), rate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, self.weight * self.scale, self.bias * self.rate)


class Blur(nn.Module):
    """The filter (1, 2, 1) on both axes."""

    def __init__(self):
        super().__init__()
        taps = torch.tensor([1.0, 2.0, 1.0])
        self.register_buffer("kernel", (torch.outer(taps, taps) / 16)[None, None])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        channels = x.shape[1]
        return functional.conv2d(x, self.kernel.expand(channels, -1, -1, -1), padding=1, groups=channels)


class Convolution(nn.Module):
    """A 3x3 convolution and a bias; `size` is the output's side if it doubles."""

    def __init__(self, in_channels: int, out_channels: int, size: int | None = None):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.scale, self.size = math.sqrt(2 / (9 * in_channels)), size
        if size is not None:
            self.intermediate = Blur()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = self.weight * self.scale
        if self.size is None:
            return functional.conv2d(x, weight, self.bias, padding=1)
        if self.size >= FUSED_FROM:
            padded = functional.pad(weight.transpose(0, 1), (1, 1, 1, 1))
            merged = padded[:, :, 1:, 1:] + padded[:, :, :-1, 1:] + padded[:, :, 1:, :-1] + padded[:, :, :-1, :-1]
            y = functional.conv_transpose2d(x, merged, stride=2, padding=1)
        else:
            y = functional.conv2d(functional.interpolate(x, scale_factor=2, mode="nearest"), weight, padding=1)
        return self.intermediate(y) + self.bias.view(1, -1, 1, 1)


class Noise(nn.Module):
    """A module that adds a noise image with a weight for each channel."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), 0.1))

    def forward(self, x: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        return x + self.weight.view(1, -1, 1, 1) * image


class Style(nn.Module):
    """The scale and the shift that w gives."""

    def __init__(self, width: int, channels: int):
        super().__init__()
        self.lin = Linear(width, 2 * channels, gain=1.0)

    def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        scale, shift = self.lin(w).view(len(w), 2, -1, 1, 1).unbind(1)
        return x * (scale + 1.0) + shift


class Epilogue(nn.Module):
    """Noise, leaky ReLU, instance norm and style."""

    def __init__(self, width: int, channels: int):
        super().__init__()
        self.top_epi = nn.ModuleDict({"noise": Noise(channels)})
        self.style_mod = Style(width, channels)

    def forward(self, x: torch.Tensor, w: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        y = functional.leaky_relu(self.top_epi["noise"](x, noise), 0.2)
        return self.style_mod(functional.instance_norm(y, eps=EPSILON), w)


class Block(nn.Module):
    """The two layers of one resolution; the first block begins with the constant."""

    def __init__(self, width: int, in_channels: int | None, channels: int, size: int):
        super().__init__()
        if in_channels is None:
            self.const, self.bias = nn.Parameter(torch.ones(1, channels, 4, 4)), nn.Parameter(torch.zeros(channels))
            self.conv = Convolution(channels, channels)
        else:
            self.conv0_up, self.conv1 = Convolution(in_channels, channels, size), Convolution(channels, channels)
        self.is_first = in_channels is None
        self.epi1, self.epi2 = Epilogue(width, channels), Epilogue(width, channels)

    def forward(self, x: torch.Tensor, w: torch.Tensor, noises: list[torch.Tensor]) -> torch.Tensor:
        x = self.const.expand(len(w), -1, -1, -1) + self.bias.view(1, -1, 1, 1) if self.is_first else self.conv0_up(x)
        x = self.epi1(x, w, noises[0])
        return self.epi2(self.conv(x) if self.is_first else self.conv1(x), w, noises[1])


class ToRGB(nn.Module):
    """A 1x1 convolution to colours."""

    def __init__(self, in_channels: int):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(3, in_channels, 1, 1)), nn.Parameter(torch.zeros(3))
        self.scale = 1 / math.sqrt(in_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.conv2d(x, self.weight * self.scale, self.bias)


class Generator(nn.Module):
    """StyleGAN's generator.

    Args:
        channels: Channels of the layers at 4x4, 8x8, ... pixels.
        width: Size of z and of w.
        depth: Number of layers of the mapping network.
    """

    def __init__(self, channels: tuple[int, ...], width: int = 512, depth: int = 8):
        super().__init__()
        dense = {f"dense{i}": Linear(width, width, gain=math.sqrt(2), rate=0.01) for i in range(depth)}
        self.g_mapping = nn.ModuleDict(dense)
        sides = [4 * 2**index for index in range(len(channels))]
        before = [None, *channels[:-1]]
        blocks = {
            f"{side}x{side}": Block(width, inputs, outputs, side)
            for side, inputs, outputs in zip(sides, before, channels, strict=True)
        }
        self.g_synthesis = nn.ModuleDict({"blocks": nn.ModuleDict(blocks), "torgb": ToRGB(channels[-1])})

    def forward(self, z: torch.Tensor, noises: list[list[torch.Tensor]]) -> torch.Tensor:
        w = z * torch.rsqrt(torch.mean(z**2, dim=1, keepdim=True) + 1e-8)
        for layer in self.g_mapping.values():
            w = functional.leaky_relu(layer(w), 0.2)
        x = w
        for block, images in zip(self.g_synthesis["blocks"].values(), noises, strict=True):
            x = block(x, w, images)
        return self.g_synthesis["torgb"](x)
