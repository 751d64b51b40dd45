"""StyleGAN2's synthesis network by its definition, in float64: zeros inserted, kernels
made for the sample, one at a time.
"""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


class Definition:
    """The network of a PyTorch file; `scaled`: weights times 1 / sqrt(fan in) before
    they are demodulated.
    """

    def __init__(self, state, config, *, scaled=False):
        self.state = {name: array.astype(np.float64) for name, array in state.items()}
        self.config, self.scaled, self.taps = config, scaled, config.resample_filter[::-1]
        self.image_taps = (config.image_filter or config.resample_filter)[::-1]

    def image(self, ws):
        """[layers, w_dim] -> [channels, height, width]."""
        x, image, slot = self.state["synthesis.b4.const"], None, 0
        for index in range(len(self.config.channels)):
            name = f"synthesis.b{4 * 2**index}"
            gain, shortcut = 1.0, 0.0
            if f"{name}.skip.weight" in self.state:
                weight, gain = self.state[f"{name}.skip.weight"], math.sqrt(0.5)
                shortcut = gain * _upsampled(_correlate(x, weight / math.sqrt(weight.shape[1])), self.taps)
            if index:
                x, slot = self.layer(f"{name}.conv0", x, ws[slot], up=True), slot + 1
            x, slot = shortcut + self.layer(f"{name}.conv1", x, ws[slot], gain=gain), slot + 1
            image = None if image is None else _upsampled(image, self.image_taps)
            if f"{name}.torgb.weight" in self.state:
                own = self.to_rgb(f"{name}.torgb", x, ws[slot])
                image = own if image is None else image + own
        return image

    def style(self, name, w):
        weight = self.state[f"{name}.affine.weight"]
        return weight @ w / math.sqrt(len(w)) + self.state[f"{name}.affine.bias"]

    def layer(self, name, x, w, *, up=False, gain=1.0):
        weight = self.state[f"{name}.weight"]
        if self.scaled:
            weight = weight / math.sqrt(weight[0].size)
        kernel = weight * self.style(name, w)[:, None, None]
        kernel = kernel / np.sqrt((kernel**2).sum((1, 2, 3), keepdims=True) + 1e-8)
        margin = ((0, 0), *[(1 + up, 1 + up)] * 2)
        if up:
            x = _insert_zeros(x)[:, :-1, :-1]
            y = _correlate(np.pad(x, margin), kernel[:, :, ::-1, ::-1])
            y = _filtered(y, (len(self.taps) - 1) // 2, (len(self.taps) - 2) // 2, self.taps)
        else:
            y = _correlate(np.pad(x, margin), kernel)
        if f"{name}.noise_const" in self.state:
            y = y + self.state[f"{name}.noise_const"] * self.state[f"{name}.noise_strength"]
        y = y + self.state[f"{name}.bias"][:, None, None]
        return self.clamped(np.where(y > 0, y, 0.2 * y) * math.sqrt(2) * gain, gain)

    def to_rgb(self, name, x, w):
        kernel = self.state[f"{name}.weight"] * (self.style(name, w) / math.sqrt(len(x)))[:, None, None]
        return self.clamped(_correlate(x, kernel) + self.state[f"{name}.bias"][:, None, None])

    def clamped(self, y, gain=1.0):
        bound = self.config.conv_clamp
        return y if bound is None else np.clip(y, -bound * gain, bound * gain)


def _correlate(x, kernel):
    return np.einsum("ihwkl,oikl->ohw", sliding_window_view(x, kernel.shape[2:], axis=(1, 2)), kernel)


def _insert_zeros(x):
    result = np.zeros((len(x), 2 * x.shape[1], 2 * x.shape[2]))
    result[:, ::2, ::2] = x
    return result


def _filtered(x, before, after, taps):
    """Padded, and convolved with the filter; four times the gain, as three of four
    pixels are zeros.
    """
    flipped = 4 * np.outer(taps, taps)[::-1, ::-1] / np.sum(taps) ** 2
    padded = np.pad(x, ((0, 0), (before, after), (before, after)))
    return np.stack([_correlate(channel[None], flipped[None, None])[0] for channel in padded])


def _upsampled(x, taps):
    return _filtered(_insert_zeros(x), (len(taps) + 1) // 2, (len(taps) - 2) // 2, taps)
