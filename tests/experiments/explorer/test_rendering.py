"""Pictures of states: what each control does, that none compiles, and their files."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.explorer import directions, sources, turns
from experiments.explorer.rendering import Renderer
from experiments.explorer.state import Move, Origin, State
from ganspace_jax.directions import foreign_arrays
from ganspace_jax.directions.edited_images import Start
from ganspace_jax.directions.named_directions import NamedDirection
from ganspace_jax.directions.sources import Source
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, biggan_deep, stylegan2
from ganspace_jax.sampling.layers import LayerSpec
from ganspace_jax.statistics.monotone_curves import Curve

CURVE = Curve(np.array([-9.0, 9.0]), np.array([-90.0, 90.0]))
STATE = State(edits=(Move("components", 0, None, 2.0),))


def _components(generator, layer=None):
    random, size = np.random.default_rng(3), generator.latent_size
    latent = random.standard_normal((3, size)).astype(np.float32)
    shape = base.activation_shapes(generator)[layer] if layer else (size,)
    activation = random.standard_normal((3, *shape)).astype(np.float32) if layer else latent
    return foreign_arrays.with_unknowns(
        activation_components=activation, activation_mean=np.zeros(shape, np.float32),
        activation_stdevs=np.ones(3, np.float32), latent_components=latent, latent_mean=np.zeros(size, np.float32),
        latent_stdevs=np.ones(3, np.float32), spec=LayerSpec(layer or generator.latent_space, generator.latent_space),
        source=Source("test"),
        named=tuple(NamedDirection(name, None, read, CURVE) for name, read in zip("abc", latent, strict=True)),
    )  # fmt: skip


def _renderer(generator, layer=None, own=None):
    components = _components(generator, layer)
    parts = [sources.main_source(components, "test"), sources.random_source(components)]
    return Renderer(generator, directions.combine(parts, generator), own or {})


@pytest.fixture(scope="module")
def generator():
    """A small StyleGAN2 with noise and a mean latent."""
    config = stylegan2.Config(z_dim=6, w_dim=6, channels=(4, 4, 4), mapping_layers=2)
    made = base.split(stylegan2.StyleGAN2(config, key=jax.random.key(0)))
    params = jax.tree.map(lambda x: x, made.params)
    params["mapping"]["w_avg"] = jnp.linspace(-1.0, 2.0, 6)
    for block in params["synthesis"].values() if "synthesis" in params else ():
        for name, layer in block.items() if isinstance(block, dict) else ():
            if name.startswith("conv"):
                layer["noise_strength"] = jnp.full_like(layer["noise_strength"], 0.3)
    return made._replace(params=params)


@pytest.fixture(scope="module")
def renderer(generator):
    made = _renderer(generator, "b8.conv0")
    made.compile()
    return made


CHANGES = {
    "sigma": [{"edits": (Move("components", 0, None, sigma),)} for sigma in (0.5, -1.0)],
    "slider": [{"edits": (Move("random", k, None, 2.0),)} for k in (0, 1)],
    "layers": [{"edits": (Move("components", 0, layers, 2.0),)} for layers in ((0, 2), (1, 4))],
    "seed": [{"starts": (Origin(seed=seed),)} for seed in (5, 6)],
    "psi": [{"psi": psi} for psi in (0.7, -0.3)],
    "cutoff": [{"psi": 0.5, "cutoff": cutoff} for cutoff in (1, 4)],
    "noise": [{"noise": noise} for noise in ("none", 7, 8)],
    "centred": [{"centred": True}, {"centred": True, "edits": (Move("components", 1, None, 1.0),)}],
    "mode": [{"mode": "activation"}, {"mode": "activation", "centred": True}],
    "value": [
        {"edits": tuple(Move("components", k, (0, 3), value=value) for k in range(count))}
        for value, count in ((20.0, 1), (-30.5, 1), (5.0, 2), (6.0, 3))
    ],
    "number": [
        {"edits": tuple(Move("components", k % 3, None, 1.0 + k) for k in range(count))} for count in (3, 10, 32)
    ],
    "number centred": [
        {"centred": True, "edits": tuple(Move("components", k % 3, (0, 2), 1.0 + k) for k in range(count))}
        for count in (5, 6)
    ],
    "number of an activation": [
        {"mode": "activation", "edits": tuple(Move("components", k % 3, None, 0.1 + k / 9) for k in range(count))}
        for count in (5, 20)
    ],
}


@pytest.mark.parametrize("control", CHANGES)
def test_a_control_changes_the_picture_and_compiles_nothing(renderer, control):
    shown, before = [renderer.image(STATE)], turns.num_compilations()
    for change in CHANGES[control]:
        shown.append(renderer.image(dataclasses.replace(STATE, **change)))
    assert turns.num_compilations() == before
    for k, one in enumerate(shown):
        assert all(np.abs(one - other).max() > 1e-4 for other in shown[:k]), (control, k)


@pytest.fixture(scope="module")
def class_renderer():
    config = biggan_deep.Config(
        z_dim=8, num_classes=3, channel_width=8, blocks=((False, 2, 2), (True, 2, 1)), attention_position=1,
        num_statistics=3, class_names=("a", "b", "c"),
    )  # fmt: skip
    made = _renderer(base.split(biggan_deep.BigGANDeep(config, key=jax.random.key(1))))
    made.compile()
    return made


def test_no_class_truncation_or_seed_compiles(class_renderer):
    before, shown = turns.num_compilations(), []
    for change in ({}, {"label": 2}, {"psi": 0.5}, {"label": 1, "psi": 0.1}, {"starts": (Origin(seed=9),)}):
        shown.append(class_renderer.image(dataclasses.replace(STATE, **change)))
    assert turns.num_compilations() == before
    assert len({one.tobytes() for one in shown}) == len(shown)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"label": 3}, "this generator has 3 classes"),
        ({"psi": 1.5}, "must be above 0 and at most 1"),
        ({"cutoff": 2}, "no mean latent"),
        ({"mode": "activation"}, "mode activation: --components: are of layer z"),
        ({"starts": (Origin(picture="me"),)}, "picture me: there is none of this name"),
    ],
)
def test_what_a_generator_does_not_have_is_told(class_renderer, change, told):
    with pytest.raises(InputError, match=told):
        class_renderer.image(dataclasses.replace(STATE, **change))


def test_own_pictures_are_starts(generator):
    latents = jax.random.normal(jax.random.key(4), generator.latent_shape)
    renderer = _renderer(generator, own={"me": Start("me", latents)})
    renderer.add_own("you", Start("you", -latents))
    shown = [renderer.image(State(starts=(Origin(picture=name),))) for name in ("me", "you")]
    assert np.abs(shown[0] - shown[1]).max() > 1e-3
    with pytest.raises(InputError, match="did you mean 'you'"):
        renderer.image(State(starts=(Origin(picture="yous"),)))


def test_remembered_starts_are_bounded_and_equal(renderer):
    first = renderer.image(STATE)
    for seed in range(80):
        renderer.start(Origin(seed=seed), renderer.view(STATE).synthesis)
    assert len(renderer._starts) == 64
    np.testing.assert_array_equal(renderer.image(STATE), first)


def test_a_sketch_is_the_smaller_image_of_the_same_latents(generator):
    renderer = _renderer(generator)
    renderer.sketch = "b8.image"
    image, is_full = renderer.picture(STATE, moving=True)
    assert image.shape == (8, 8, 3) and not is_full
    full, is_full = renderer.picture(STATE)
    assert full.shape == (16, 16, 3) and is_full
    other, _ = renderer.picture(dataclasses.replace(STATE, edits=()), moving=True)
    assert np.abs(other - image).max() > 1e-3
    assert renderer.picture(dataclasses.replace(STATE, noise="none"), moving=True)[1]
