"""StyleGAN2's generator in PyTorch, in the style of the ports that GANSpace uses.

benchmarks/synthesis.py compares its speed with ours. Each sample has its own kernel,
and the samples of a batch are the groups of one grouped convolution. Up-sampling is a
transposed convolution, then a depthwise filter. Parameter names are rosinality's, so
the converter stylegan2_rosinality reads the state dict.
"""

import itertools
import math

import torch
from torch import nn
from torch.nn import functional

TAPS = (1.0, 3.0, 3.0, 1.0)


def filter_kernel(gain: float) -> torch.Tensor:
    """Returns the paper's 4x4 low-pass filter with a gain at zero frequency."""
    taps = torch.tensor(TAPS)
    return torch.outer(taps, taps) / taps.sum() ** 2 * gain


def low_pass(x: torch.Tensor, kernel: torch.Tensor, padding: tuple[int, int]) -> torch.Tensor:
    """Filters each channel separately.

    Args:
        x: Images NCHW.
        kernel: Filter.
        padding: Zeros before and after each spatial axis.
    """
    n, channels, height, width = x.shape
    padded = functional.pad(x.reshape(n * channels, 1, height, width), (*padding, *padding))
    y = functional.conv2d(padded, kernel.flip(0, 1)[None, None])
    return y.reshape(n, channels, *y.shape[2:])


class Linear(nn.Module):
    """A linear layer with equalised learning rate, and leaky ReLU if `activate`."""

    def __init__(
        self, in_features: int, out_features: int, *, bias: float = 0.0, rate: float = 1.0, activate: bool = False
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / rate)
        self.bias = nn.Parameter(torch.full((out_features,), bias))
        self.scale, self.rate, self.activate = rate / math.sqrt(in_features), rate, activate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.linear(x, self.weight * self.scale, self.bias * self.rate)
        return functional.leaky_relu(y, 0.2) * math.sqrt(2) if self.activate else y


class Filter(nn.Module):
    """A module that stores a filter under its name in the state dict."""

    def __init__(self):
        super().__init__()
        self.register_buffer("kernel", filter_kernel(4.0))


class ModulatedConvolution(nn.Module):
    """A convolution with a separate kernel for each sample."""

    def __init__(
        self, width: int, in_channels: int, out_channels: int, size: int, *, up: bool = False, demodulate: bool = True
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, out_channels, in_channels, size, size))
        self.modulation = Linear(width, in_channels, bias=1.0)
        self.scale, self.up, self.demodulate = 1 / math.sqrt(in_channels * size**2), up, demodulate
        if up:
            self.blur = Filter()

    def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        n, channels, height, width = x.shape
        weight = self.scale * self.weight * self.modulation(w).view(n, 1, channels, 1, 1)
        if self.demodulate:
            weight = weight * torch.rsqrt(weight.pow(2).sum([2, 3, 4], keepdim=True) + 1e-8)
        x = x.reshape(1, n * channels, height, width)
        if not self.up:
            y = functional.conv2d(x, weight.flatten(0, 1), padding=weight.shape[-1] // 2, groups=n)
            return y.view(n, -1, height, width)
        weight = weight.transpose(1, 2).reshape(n * channels, -1, *weight.shape[3:])
        y = functional.conv_transpose2d(x, weight, stride=2, groups=n)
        return low_pass(y.view(n, -1, *y.shape[2:]), self.blur.kernel, (1, 1))


class Noise(nn.Module):
    """A module that adds a scaled noise image."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.full((1,), 0.1))

    def forward(self, x: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        return x + self.weight * image


class Activation(nn.Module):
    """A bias, then leaky ReLU."""

    def __init__(self, channels: int):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.leaky_relu(x + self.bias.view(1, -1, 1, 1), 0.2) * math.sqrt(2)


class Layer(nn.Module):
    """A modulated convolution, noise and an activation."""

    def __init__(self, width: int, in_channels: int, out_channels: int, *, up: bool = False):
        super().__init__()
        self.conv = ModulatedConvolution(width, in_channels, out_channels, 3, up=up)
        self.noise = Noise()
        self.activate = Activation(out_channels)

    def forward(self, x: torch.Tensor, w: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        return self.activate(self.noise(self.conv(x, w), noise))


class ToRGB(nn.Module):
    """A 1x1 convolution to colours.

    Its output is added to the up-sampled image of the lower resolution.
    """

    def __init__(self, width: int, in_channels: int, *, up: bool = True):
        super().__init__()
        self.conv = ModulatedConvolution(width, in_channels, 3, 1, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        if up:
            self.upsample = Filter()

    def forward(self, x: torch.Tensor, w: torch.Tensor, image: torch.Tensor | None = None) -> torch.Tensor:
        y = self.conv(x, w) + self.bias
        if image is None:
            return y
        n, channels, height, width = image.shape
        zero_inserted = image.new_zeros(n, channels, height, 2, width, 2)
        zero_inserted[:, :, :, 0, :, 0] = image
        return y + low_pass(zero_inserted.view(n, channels, 2 * height, 2 * width), self.upsample.kernel, (2, 1))


class Constant(nn.Module):
    """The learned 4x4 input."""

    def __init__(self, channels: int):
        super().__init__()
        self.input = nn.Parameter(torch.randn(1, channels, 4, 4))


class Generator(nn.Module):
    """StyleGAN2's generator.

    Args:
        channels: Channels of the layers at 4x4, 8x8, ... pixels.
        width: Size of z and of w.
        depth: Number of layers of the mapping network.
    """

    def __init__(self, channels: tuple[int, ...], width: int = 512, depth: int = 8):
        super().__init__()
        layers = [Linear(width, width, rate=0.01, activate=True) for _ in range(depth)]
        # Layer 0 of the state dict is the normalisation of z, without parameters.
        self.style = nn.ModuleList([nn.Identity(), *layers])
        self.input = Constant(channels[0])
        self.conv1, self.to_rgb1 = Layer(width, channels[0], channels[0]), ToRGB(width, channels[0], up=False)
        self.convs, self.to_rgbs, self.noises = nn.ModuleList(), nn.ModuleList(), nn.Module()
        for before, after in itertools.pairwise(channels):
            self.convs.extend([Layer(width, before, after, up=True), Layer(width, after, after)])
            self.to_rgbs.append(ToRGB(width, after))
        for layer in range(2 * len(channels) - 1):
            side = 4 * 2 ** ((layer + 1) // 2)
            self.noises.register_buffer(f"noise_{layer}", torch.randn(1, 1, side, side))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        w = z * torch.rsqrt(torch.mean(z**2, dim=1, keepdim=True) + 1e-8)
        for layer in self.style:
            w = layer(w)
        noises = [getattr(self.noises, f"noise_{i}") for i in range(len(self.convs) + 1)]
        x = self.conv1(self.input.input.expand(len(z), -1, -1, -1), w, noises[0])
        image = self.to_rgb1(x, w)
        for index, to_rgb in enumerate(self.to_rgbs):
            x = self.convs[2 * index](x, w, noises[2 * index + 1])
            x = self.convs[2 * index + 1](x, w, noises[2 * index + 2])
            image = to_rgb(x, w, image)
        return image
