"""StyleGAN2 as in lucidrains/stylegan2-pytorch, which computes another function.

    z --mapping--> w, copied to every block --synthesis--> image

It differs from StyleGAN2 (Karras et al., CVPR 2020) in these points. A block has one
latent for its two convolutions and its ToRGB. Features are doubled by bilinear
interpolation before a convolution. The image is doubled by bilinear interpolation and
then blurred, with reflected edges. Leaky ReLUs have no gain, and only the mapping
layers have a learning rate. A layer adds one weight per channel times noise. All layers
share one noise image, which is uniform in [0, 1].

The constant contains the code's first convolution, which acts on the constant alone.
Style biases contain the 1 that the code adds. Layouts are this project's: kernels HWIO,
linear weights [in, out], the constant [4, 4, C].
"""

import dataclasses
import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import nnx

from ganspace_jax.generators import base, ops
from ganspace_jax.generators.shared_layers import Buffer, MappedLatents, OrthogonalConvolution, refuse_label
from ganspace_jax.shapes import Array, Float, PRNGKey

_NORM_EPSILON = 1e-12  # of the mapping network's input, as torch.nn.functional.normalize
_CHANNEL_EPSILON = 1e-5  # of the norms over channels
_HEADS, _HEAD_WIDTH = 8, 64  # of attention


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that the architecture depends on.

    Attributes:
        latent_dim: Size of z and of w.
        channels: Channels of the 4x4, 8x8, ... blocks; their number sets the
            resolution.
        mapping_learning_rate: Factor of the weights and biases of the mapping layers.
        normalize_latents: Whether z is divided by its length.
        constant_input: Whether the first block starts from the constant alone. If not,
            a linear map of the mean latent is added to it.
        image_blur: Filter of the doubled image; () for no filter.
        attention: Indices of the blocks that follow attention.
        compute_dtype: Type of the convolutions.
    """

    latent_dim: int
    channels: tuple[int, ...]
    image_channels: int = 3
    mapping_layers: int = 8
    mapping_learning_rate: float = 0.1
    normalize_latents: bool = True
    constant_input: bool = True
    image_blur: tuple[float, ...] = (1.0, 2.0, 1.0)
    attention: tuple[int, ...] = ()
    compute_dtype: str = "float32"

    z_dim = property(lambda self: self.latent_dim)
    num_classes = property(lambda self: 0)
    class_names = property(lambda self: ())

    @property
    def resolution(self) -> int:
        """Returns the side of the image in pixels."""
        return 4 * 2 ** (len(self.channels) - 1)


class Linear(nnx.Module):
    """A linear layer whose weights and biases are multiplied by a learning rate."""

    def __init__(
        self, in_features: int, out_features: int, *, key: PRNGKey, bias: float = 0.0, learning_rate: float = 1.0
    ):
        scale = math.sqrt(2 / in_features) / learning_rate
        self.weight = nnx.Param(scale * jax.random.normal(key, (in_features, out_features)))
        self.bias = nnx.Param(jnp.full(out_features, bias, jnp.float32))
        self.learning_rate = learning_rate

    def __call__(self, x: Float[Array, "n i"]) -> Float[Array, "n o"]:
        return ops.linear(x, self.weight[...] * self.learning_rate, self.bias[...] * self.learning_rate)


class MappingNetwork(nnx.Module):
    """The mapping network, which turns z into w."""

    def __init__(self, config: Config, *, key: PRNGKey):
        self.config = config
        size, rate = config.latent_dim, config.mapping_learning_rate
        for i in range(config.mapping_layers):
            setattr(self, f"fc{i}", Linear(size, size, key=jax.random.fold_in(key, i), learning_rate=rate))
        self.w_avg = Buffer(jnp.zeros(size))

    def __call__(self, z: Float[Array, "n z"], label: Array | None, record: base.Recorder) -> Float[Array, "n d"]:
        refuse_label(label)
        x = z
        if self.config.normalize_latents:
            x = x / jnp.maximum(jnp.linalg.norm(x, axis=-1, keepdims=True), _NORM_EPSILON)
        for i in range(self.config.mapping_layers):
            x = record(f"mapping.fc{i}", ops.leaky_relu(getattr(self, f"fc{i}")(x)))
        return x


class Convolution(nnx.Module):
    """3x3 modulated convolution, noise, bias and leaky ReLU."""

    def __init__(self, config: Config, in_channels: int, out_channels: int, *, key: PRNGKey):
        keys = jax.random.split(key)
        self.affine = Linear(config.latent_dim, in_channels, key=keys[0], bias=1.0)
        self.weight = nnx.Param(_drawn_kernel(3, in_channels, out_channels, keys[1]))
        self.noise_weight = nnx.Param(jnp.zeros(out_channels))
        self.bias = nnx.Param(jnp.zeros(out_channels))

    def __call__(self, x: Array, w: Array, noise: Array | None, record: base.Recorder, name: str) -> Array:
        style = record(f"{name}.style", self.affine(w))
        y = record(f"{name}.linear", ops.modulated_conv2d(x, self.weight[...], style))
        if noise is not None:
            image = noise[:, : y.shape[1], : y.shape[2]] * self.noise_weight[...]
            y = record(f"{name}.noised", y + image.astype(y.dtype))
        return record(name, ops.leaky_relu(y + self.bias[...].astype(y.dtype)))


class ToRGB(nnx.Module):
    """1x1 modulated convolution to the image's channels, without demodulation."""

    def __init__(self, config: Config, in_channels: int, *, key: PRNGKey):
        keys = jax.random.split(key)
        self.affine = Linear(config.latent_dim, in_channels, key=keys[0], bias=1.0)
        self.weight = nnx.Param(_drawn_kernel(1, in_channels, config.image_channels, keys[1]))

    def __call__(self, x: Array, w: Array, record: base.Recorder, name: str) -> Float[Array, "n height width c"]:
        style = record(f"{name}.style", self.affine(w))
        return record(name, ops.modulated_conv2d(x, self.weight[...], style, demodulate=False).astype(jnp.float32))


class ChannelNorm(nnx.Module):
    """Normalisation over the channels of each pixel, with a gain and a bias."""

    def __init__(self, channels: int):
        self.gain, self.bias = nnx.Param(jnp.ones(channels)), nnx.Param(jnp.zeros(channels))

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
        y = jax.nn.standardize(x.astype(jnp.float32), epsilon=_CHANNEL_EPSILON)
        return (y * self.gain[...] + self.bias[...]).astype(x.dtype)


class Attention(nnx.Module):
    """Linear attention over positions and two 1x1 convolutions, each with a shortcut.

    Queries are a softmax over channels, keys a softmax over positions.
    """

    def __init__(self, channels: int, *, key: PRNGKey):
        keys, width = jax.random.split(key, 6), _HEADS * _HEAD_WIDTH
        self.norm1, self.norm2 = ChannelNorm(channels), ChannelNorm(channels)
        self.to_q = OrthogonalConvolution(1, channels, width, key=keys[0], bias=False)
        self.depthwise = nnx.Param(_drawn_kernel(3, 1, channels, keys[1]))
        self.to_kv = OrthogonalConvolution(1, channels, 2 * width, key=keys[2], bias=False)
        self.to_out = OrthogonalConvolution(1, width, channels, key=keys[3])
        self.expand = OrthogonalConvolution(1, channels, 2 * channels, key=keys[4])
        self.contract = OrthogonalConvolution(1, 2 * channels, channels, key=keys[5])

    def __call__(self, x: Float[Array, "n h w c"], record: base.Recorder, name: str) -> Float[Array, "n h w c"]:
        x = record(f"{name}.attention", x + self._attend(self.norm1(x)))
        y = self.contract(ops.leaky_relu(self.expand(self.norm2(x))))
        return record(f"{name}.feedforward", x + y)

    def _attend(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
        n, height, width, channels = x.shape
        precision = ops.precision_for(x.dtype)
        local = jax.lax.conv_general_dilated(
            x,
            self.depthwise[...].astype(x.dtype),
            (1, 1),
            "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=channels,
            precision=precision,
        )
        halves = jnp.split(self.to_kv(local), 2, axis=-1)
        queries, keys, values = (y.reshape(n, -1, _HEADS, _HEAD_WIDTH) for y in (self.to_q(x), *halves))
        queries = jax.nn.softmax(queries, axis=-1) / math.sqrt(_HEAD_WIDTH)
        context = jnp.einsum("nphd,nphe->nhde", jax.nn.softmax(keys, axis=1), values, precision=precision)
        attended = jnp.einsum("nphd,nhde->nphe", queries, context, precision=precision)
        return self.to_out(jax.nn.gelu(attended.reshape(n, height, width, -1), approximate=False))


class Block(nnx.Module):
    """The layers of one resolution."""

    def __init__(self, config: Config, index: int, *, key: PRNGKey):
        keys = jax.random.split(key, 4)
        before, channels = config.channels[max(0, index - 1)], config.channels[index]
        self.config, self.index = config, index
        self.conv1 = Convolution(config, before, channels, key=keys[0])
        self.conv2 = Convolution(config, channels, channels, key=keys[1])
        self.torgb = ToRGB(config, channels, key=keys[2])
        self.attention = Attention(before, key=keys[3]) if index in config.attention else None

    def __call__(
        self, x: Array, image: Array | None, w: Array, noise: Array | None, record: base.Recorder
    ) -> tuple[Array, Array]:
        """Returns the block's output and the image so far.

        Argument x is the output of the block before, and image is None in the first
        block.
        """
        name = f"b{4 * 2**self.index}"
        if self.attention is not None:
            x = self.attention(x, record, name)
        if self.index > 0:
            x = _double(x)
        x = self.conv1(x, w, noise, record, f"{name}.conv1")
        x = self.conv2(x, w, noise, record, f"{name}.conv2")
        own = self.torgb(x, w, record, f"{name}.torgb")
        if image is not None:
            own = own + ops.blur(_double(image), self.config.image_blur, outside="reflect")
        return x, record(f"{name}.image", own)


class Synthesis(nnx.Module):
    """The synthesis network, which turns per-layer w into an image in [-1, 1]."""

    def __init__(self, config: Config, *, key: PRNGKey):
        self.config = config
        first = jax.random.fold_in(key, len(config.channels))
        self.const = nnx.Param(jax.random.normal(first, (4, 4, config.channels[0])))
        if not config.constant_input:
            shape = (config.latent_dim, 4, 4, config.channels[0])
            self.start_weight = nnx.Param(jax.random.normal(first, shape) / math.sqrt(config.latent_dim))
        for index in range(len(config.channels)):
            setattr(self, f"b{4 * 2**index}", Block(config, index, key=jax.random.fold_in(key, index)))

    def __call__(self, latents: Array, noise: Array | None, record: base.Recorder) -> Float[Array, "n height width c"]:
        x, image = self._start(latents).astype(self.config.compute_dtype), None
        for index in range(len(self.config.channels)):
            block: Block = getattr(self, f"b{4 * 2**index}")
            x, image = block(x, image, latents[:, index], noise, record)
        assert image is not None  # there is at least one block
        return 2 * image - 1  # the code's images are in [0, 1]

    def _start(self, latents: Float[Array, "n layers d"]) -> Float[Array, "n 4 4 c"]:
        """Returns the input of the first block."""
        const = jnp.broadcast_to(self.const[...], (latents.shape[0], *self.const.shape))
        if self.config.constant_input:
            return const
        weight = self.start_weight[...].reshape(self.config.latent_dim, -1)
        return const + ops.linear(latents.mean(1), weight).reshape(const.shape)


class StyleGAN2Lucidrains(MappedLatents, nnx.Module):
    """The whole generator, which fulfils the contract base.Network."""

    def __init__(self, config: Config, *, key: PRNGKey):
        mapping_key, synthesis_key = jax.random.split(key)
        self.config = config
        self.mapping = MappingNetwork(config, key=mapping_key)
        self.synthesis = Synthesis(config, key=synthesis_key)

    @property
    def latent_shape(self) -> tuple[int, int]:
        """Returns (blocks, latent_dim)."""
        return len(self.config.channels), self.config.latent_dim

    def __call__(
        self,
        latents: Float[Array, "n layers d"],
        *,
        label: Array | None = None,
        offsets: Mapping[str, Array] | None = None,
        noise: base.Noise = "const",
        truncation_psi: ops.Psi = 1.0,
        truncation_cutoff: ops.Cutoff = None,
    ) -> tuple[Float[Array, "n height width c"], base.Activations]:
        """Returns the image (about [-1, 1], not clipped) and the activations.

        A checkpoint has no noise image, so "const" means no noise, as None does. Keys
        draw one uniform noise image for each sample. The label is ignored.
        """
        del label
        record = base.Recorder(offsets)
        latents = ops.truncate(latents, self.mapping.w_avg[...], truncation_psi, truncation_cutoff)
        return self.synthesis(latents, self._noise(noise), record), record.finish()

    def _noise(self, noise: base.Noise) -> Float[Array, "n height width 1"] | None:
        if noise is None or isinstance(noise, str):
            return None
        shape = (self.config.resolution, self.config.resolution, 1)
        return jax.vmap(lambda key: jax.random.uniform(key, shape))(noise)


def _double(x: Float[Array, "n height width c"]) -> Float[Array, "n height2 width2 c"]:
    """Doubles the size by bilinear interpolation between the centres of pixels.

    Beyond the edge, the outermost pixels continue.
    """
    for axis in (1, 2):
        size = x.shape[axis]
        padded = jnp.pad(x, [(1, 1) if a == axis else (0, 0) for a in range(4)], mode="edge")
        before, after = (jax.lax.slice_in_dim(padded, start, start + size, axis=axis) for start in (0, 2))
        phases = jnp.stack([0.25 * before + 0.75 * x, 0.75 * x + 0.25 * after], axis=axis + 1)
        x = phases.reshape([2 * size if a == axis else side for a, side in enumerate(x.shape)])
    return x


def _drawn_kernel(size: int, in_channels: int, out_channels: int, key: PRNGKey) -> Float[Array, "k k i o"]:
    scale = math.sqrt(2 / (size * size * in_channels))
    return scale * jax.random.normal(key, (size, size, in_channels, out_channels))
