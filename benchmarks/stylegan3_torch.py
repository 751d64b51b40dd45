"""StyleGAN3's generator in PyTorch, configuration T, for CPUs.

benchmarks/full_size.py compares its speed with ours. It does what the official code
does without its CUDA kernels: one kernel per sample in a grouped convolution, then
zero insertion, a separable filter, leaky ReLU, and a separable filter again. Parameter
names are the official ones. Sizes and filters are those of our plan of the layers.
"""

import math

import torch
from torch import nn
from torch.nn import functional

from ganspace_jax.generators import stylegan3
from ganspace_jax.generators.stylegan3_filters import Plan


class Linear(nn.Module):
    """A linear layer with equalised learning rate."""

    def __init__(self, in_features: int, out_features: int, *, bias: float = 0.0, rate: float = 1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / rate)
        self.bias = nn.Parameter(torch.full((out_features,), bias / rate))
        self.scale, self.rate = rate / math.sqrt(in_features), rate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, self.weight * self.scale, self.bias * self.rate)


class Mapping(nn.Module):
    """The mapping network."""

    def __init__(self, config: stylegan3.Config):
        super().__init__()
        self.depth = config.mapping_layers
        for index in range(self.depth):
            inputs = config.w_dim if index else config.z_dim
            setattr(self, f"fc{index}", Linear(inputs, config.w_dim, rate=config.mapping_learning_rate))
        self.register_buffer("w_avg", torch.zeros(config.w_dim))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        x = z * torch.rsqrt(torch.mean(z**2, dim=1, keepdim=True) + 1e-8)
        for index in range(self.depth):
            x = functional.leaky_relu(getattr(self, f"fc{index}")(x), 0.2) * math.sqrt(2)
        return x


class FourierInput(nn.Module):
    """Fourier features, turned and moved by w."""

    def __init__(self, width: int, plan: Plan):
        super().__init__()
        self.plan, channels = plan, plan.in_channels
        self.weight, self.affine = nn.Parameter(torch.randn(channels, channels)), Linear(width, 4)
        self.affine.weight.data.zero_()
        self.affine.bias.data.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0]))
        normals = torch.randn(channels, 2)
        radii = normals.square().sum(1, keepdim=True).sqrt()
        self.register_buffer("transform", torch.eye(3))
        self.register_buffer("freqs", normals / (radii * radii.square().exp().pow(0.25)) * plan.in_cutoff)
        self.register_buffer("phases", torch.rand(channels) - 0.5)

    def forward(self, w: torch.Tensor) -> torch.Tensor:
        t = self.affine(w)
        t = t / t[:, :2].norm(dim=1, keepdim=True)
        zero, one = torch.zeros_like(t[:, 0]), torch.ones_like(t[:, 0])
        rotation = torch.stack([t[:, 0], -t[:, 1], zero, t[:, 1], t[:, 0], zero, zero, zero, one], 1).view(-1, 3, 3)
        shift = torch.stack([one, zero, -t[:, 2], zero, one, -t[:, 3], zero, zero, one], 1).view(-1, 3, 3)
        matrix = rotation @ shift @ self.transform
        phases = self.phases + (self.freqs @ matrix[:, :2, 2:]).squeeze(2)
        freqs = self.freqs @ matrix[:, :2, :2]
        amplitudes = 1 - (freqs.norm(dim=2) - self.plan.in_cutoff) / (self.plan.in_rate / 2 - self.plan.in_cutoff)
        centres = (torch.arange(self.plan.in_size) + 0.5 - self.plan.in_size / 2) / self.plan.in_rate
        grid = torch.stack(torch.meshgrid(centres, centres, indexing="xy"), -1)
        waves = torch.sin((grid @ freqs[:, None].transpose(2, 3) + phases[:, None, None]) * (2 * math.pi))
        waves = waves * amplitudes.clamp(0, 1)[:, None, None]
        return (waves @ self.weight.t() / math.sqrt(len(self.weight))).permute(0, 3, 1, 2)


class Layer(nn.Module):
    """A modulated convolution and the filtered non-linearity, or ToRGB."""

    def __init__(self, width: int, plan: Plan, clamp: float | None):
        super().__init__()
        self.plan, self.clamp, size = plan, clamp, plan.kernel_size
        self.weight = nn.Parameter(torch.randn(plan.out_channels, plan.in_channels, size, size))
        self.bias, self.affine = nn.Parameter(torch.zeros(plan.out_channels)), Linear(width, plan.in_channels, bias=1.0)
        self.register_buffer("magnitude_ema", torch.ones([]))
        if plan.up_taps > 1:
            self.register_buffer("up_filter", torch.tensor(plan.up_filter(), dtype=torch.float32))
        if plan.down_taps > 1:
            self.register_buffer("down_filter", torch.tensor(plan.down_filter(), dtype=torch.float32))

    def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        y = self._convolve(x, self.affine(w)) + self.bias.view(1, -1, 1, 1)
        if self.plan.is_torgb:
            return y if self.clamp is None else y.clamp(-self.clamp, self.clamp)
        y = self._upsample(y)
        y = functional.leaky_relu(y, 0.2) * math.sqrt(2)
        y = y if self.clamp is None else y.clamp(-self.clamp, self.clamp)
        if self.plan.down_taps > 1:
            y = _filter(y, self.down_filter)[:, :, :: self.plan.down, :: self.plan.down]
        return y

    def _convolve(self, x: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
        n, weight = len(x), self.weight
        if self.plan.is_torgb:
            weight = weight[None] * (style / math.sqrt(self.plan.in_channels))[:, None, :, None, None]
        else:
            weight = weight * torch.rsqrt(weight.square().mean([1, 2, 3], keepdim=True))
            style = style * torch.rsqrt(style.square().mean())
            weight = weight[None] * style[:, None, :, None, None]
            weight = weight * torch.rsqrt(weight.square().sum([2, 3, 4], keepdim=True) + 1e-8)
        weight = weight * torch.rsqrt(self.magnitude_ema)
        padding = self.plan.kernel_size - 1
        y = functional.conv2d(x.reshape(1, -1, *x.shape[2:]), weight.flatten(0, 1), padding=padding, groups=n)
        return y.view(n, -1, *y.shape[2:])

    def _upsample(self, x: torch.Tensor) -> torch.Tensor:
        """Returns x with zeros inserted, padded or cropped, and filtered."""
        n, channels, height, width = x.shape
        up, (before, after) = self.plan.up, self.plan.padding
        zeros = x.new_zeros(n, channels, height, up, width, up)
        zeros[:, :, :, 0, :, 0] = x
        y = functional.pad(zeros.view(n, channels, height * up, width * up), (before, after, before, after))
        return _filter(y, self.up_filter * up) if self.plan.up_taps > 1 else y


def _filter(x: torch.Tensor, taps: torch.Tensor) -> torch.Tensor:
    """Returns x filtered on both axes by depthwise convolutions."""
    channels = x.shape[1]
    for shape in ((1, 1, 1, -1), (1, 1, -1, 1)):
        x = functional.conv2d(x, taps.flip(0).view(shape).expand(channels, *[-1] * 3), groups=channels)
    return x


class Generator(nn.Module):
    """StyleGAN3's generator."""

    def __init__(self, config: stylegan3.Config):
        super().__init__()
        plans = stylegan3.plan_layers(config)
        self.mapping, self.scale = Mapping(config), config.output_scale
        layers = {plan.name: Layer(config.w_dim, plan, config.conv_clamp) for plan in plans}
        self.synthesis = nn.ModuleDict({"input": FourierInput(config.w_dim, plans[0]), **layers})

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        w = self.mapping(z)
        first, *layers = self.synthesis.values()
        x = first(w)
        for layer in layers:
            x = layer(x, w)
        return x * self.scale
