"""Images of edited latents: means that a file lacks, directions in z of a generator
with w, starts of rows, and own pictures.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganspace_jax.directions import edited_images, foreign_arrays, foreign_files
from ganspace_jax.directions.components import Components
from ganspace_jax.directions.edited_images import Mode, Start, View
from ganspace_jax.directions.edits import Edit
from ganspace_jax.directions.sources import Source
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, biggan_deep, progan, stylegan2, synthesis
from ganspace_jax.generators.synthesis import Synthesis
from ganspace_jax.sampling import latent_files, latents
from ganspace_jax.sampling.layers import LayerSpec
from tests import calls


@pytest.fixture(scope="module")
def generator():
    config = stylegan2.Config(z_dim=6, w_dim=6, channels=(4, 4), mapping_layers=2)
    made = base.split(stylegan2.StyleGAN2(config, key=jax.random.key(0)))
    average = jnp.linspace(-1.0, 2.0, 6)
    return made._replace(params={**made.params, "mapping": {**made.params["mapping"], "w_avg": average}})


def _load(path, name, array, latent_space=None):
    np.save(path / f"{name}.npy", array)
    return foreign_files.load_components(path / f"{name}.npy", latent_space)


@pytest.mark.parametrize("by_layer", [False, True])
def test_rows_and_centred_edits_without_a_mean_start_at_the_generators(generator, tmp_path, by_layer):
    layers = generator.latent_shape[0]
    direction = np.random.default_rng(0).standard_normal((layers if by_layer else 1, 6)).astype(np.float32)
    loaded = _load(tmp_path, "smile_w_boundary", direction)
    average = np.tile(generator.mean_latent, (layers, 1))
    start = edited_images.default_start(generator, loaded, Synthesis())
    np.testing.assert_array_equal(start.latents, average)
    found, view = edited_images.resolve(loaded, View(centred=True), generator)
    start = edited_images.start_of_seed(generator, 3, view.synthesis)
    moved = np.asarray(edited_images.move(generator, found, start, [Edit(0, None, 0.0)], view))
    coordinates = ((moved - average) * direction).sum(1)
    np.testing.assert_allclose(coordinates, 0.0, atol=1e-5)


@pytest.mark.parametrize("layers", [None, (1, 3)])
def test_directions_in_z_move_z_and_map_it(generator, tmp_path, layers):
    normal = np.random.default_rng(0).standard_normal((1, 6)).astype(np.float32)
    found, view = edited_images.resolve(_load(tmp_path, "smile_boundary", normal), View(), generator)
    start = edited_images.start_of_seed(generator, 3, view.synthesis)
    moved = edited_images.move(generator, found, start, [Edit(0, layers, 1.5)], view)
    assert start.z is not None
    expected = np.array(synthesis.map_latents(generator, (start.z + 1.5 * normal[0])[None])[0])
    if layers is not None:
        expected[[0, *range(3, len(expected))]] = start.latents[jnp.array([0, *range(3, len(expected))])]
    np.testing.assert_allclose(moved, expected, rtol=1e-5, atol=1e-5)
    assert not np.allclose(moved[1], start.latents[1], atol=1e-3)


def _of_layer(layer, shape, space="w"):
    """Returns components of an activation, as a file of the original holds them."""
    rng = np.random.default_rng(0)
    return foreign_arrays.with_unknowns(
        activation_components=rng.standard_normal((2, *shape)), activation_mean=None,
        activation_stdevs=np.ones(2), latent_components=rng.standard_normal((2, 6)), latent_mean=None,
        latent_stdevs=np.ones(2), spec=LayerSpec(layer, space), source=Source("x"),
    )  # fmt: skip


def test_activations_move_at_the_layer_of_another_codes_name(generator):
    columns = [[Edit(0, None, 3.0)], [Edit(1, None, -2.0)]]
    images = []
    for name in ("convs.1", "b8.conv1"):
        found, view = edited_images.resolve(_of_layer(name, (8, 8, 4)), View(mode="activation"), generator)
        assert found.spec.layer == "b8.conv1"
        start = edited_images.start_of_seed(generator, 3, view.synthesis)
        images.append(edited_images.edited_images(generator, found, start, columns, view))
    np.testing.assert_array_equal(*images)
    assert not np.allclose(images[0][0], images[0][1], atol=1e-3)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        ("convs.1", (4, 8, 8), r"layer convs\.1 of shape \(4, 8, 8\), but layer b8\.conv1 of this .* \(8, 8, 4\)"),
        ("convs.9", (8, 8, 4), r"layer convs\.9: this generator has no such layer; did you mean 'convs\.1'"),
        ("unknown", (8, 8, 4), "the file's name does not tell the layer; GANSpace's files are called"),
        ("w", (6,), "are of layer w, which is the latent itself"),
        ("style", (6,), "are of layer w, which is the latent itself"),
        ("style.2", (6,), "layer style.2: lies within the mapping network"),
    ],
)
def test_a_layer_at_which_nothing_can_be_moved_is_named(generator, layer, shape, message):
    with pytest.raises(InputError, match=f"--components: {message}"):
        edited_images.resolve(_of_layer(layer, shape), View(mode="activation"), generator)
    edited_images.resolve(_of_layer(layer, shape), View(), generator)  # latents still move


def test_directions_in_z_start_from_a_seed(generator, tmp_path):
    loaded = _load(tmp_path, "smile_boundary", np.ones((1, 6)))
    assert edited_images.default_start(generator, loaded, Synthesis()).name == "seed 1"


def test_a_generator_without_w_starts_from_a_seed_and_refuses_directions_in_w(tmp_path):
    config = progan.Config(z_dim=6, channels=(4, 4))
    only_z = base.split(progan.ProGAN(config, key=jax.random.key(0)))
    found, view = edited_images.resolve(_load(tmp_path, "age", np.ones(6), "z"), View(), only_z)
    assert edited_images.default_start(only_z, found, view.synthesis).name == "seed 1"
    boundary = _load(tmp_path, "pggan_celebahq_age_c_gender_boundary", np.ones((1, 6)))
    found, view = edited_images.resolve(boundary, View(), only_z)
    start = edited_images.start_of_seed(only_z, 3, view.synthesis)
    moved = edited_images.move(only_z, found, start, [Edit(0, None, 2.0)], view)
    np.testing.assert_allclose(moved, np.asarray(start.latents) + 2.0, rtol=1e-5)
    with pytest.raises(InputError, match="this generator has only z; give --latent_space=z"):
        edited_images.resolve(_load(tmp_path, "age", np.ones(6)), View(), only_z)


@pytest.mark.parametrize("shape", [(99, 6), (1, 7)])
def test_directions_of_another_shape_are_refused(generator, tmp_path, shape):
    with pytest.raises(InputError, match="--components: directions of"):
        edited_images.resolve(_load(tmp_path, "age", np.ones(shape)), View(), generator)


def _inputs(path, generator, **arrays):
    np.savez(path / "me.npz", **arrays)
    return latent_files.from_file(generator, path / "me.npz", None)


def test_a_picture_is_edited_as_a_seed_of_the_same_latents(generator, tmp_path):
    """In w; through the mapping network if the file has z; and in an activation."""
    z = latents.from_seeds([3, 4], generator.z_dim)
    mapped = np.asarray(synthesis.map_latents(generator, jnp.asarray(z)))
    of_w = edited_images.starts_of_file(_inputs(tmp_path, generator, ws=mapped))
    of_z = edited_images.starts_of_file(_inputs(tmp_path, generator, z=z))
    assert [start.name for start in of_w] == ["me_0000", "me_0001"]
    in_w = _load(tmp_path, "age_w_boundary", np.ones((1, 6)))
    in_z = _load(tmp_path, "age_boundary", np.ones((1, 6)))
    layer = calls.decompose(generator, layer="b4.conv1", num_samples=100, num_components=2)
    cases: list[tuple[Components, list[Start], Mode]]
    cases = [(in_w, of_w, "latent"), (in_z, of_z, "latent"), (layer, of_w, "activation")]
    for loaded, starts, mode in cases:
        settings = Synthesis(truncation_psi=0.7)
        found, view = edited_images.resolve(loaded, View(settings, mode, centred=mode == "activation"), generator)
        for seed, start in zip((3, 4), starts, strict=True):
            of_seed = edited_images.start_of_seed(generator, seed, settings)
            own, expected = (
                np.asarray(edited_images.edited_images(generator, found, one, [[Edit(0)], []], view))
                for one in (start, of_seed)
            )
            np.testing.assert_allclose(own, expected, atol=1e-5)
            assert np.abs(own[0] - own[1]).max() > 1e-3
    found, view = edited_images.resolve(in_z, View(), generator)
    with pytest.raises(InputError, match="directions in z need images with a known z; give --latents of z, or --seeds"):
        edited_images.edited_images(generator, found, of_w[0], [[Edit(0)]], view)


@pytest.mark.parametrize("family", ["biggan", "stylegan2"])
def test_each_picture_keeps_its_own_class(tmp_path, family):
    if family == "biggan":
        config = biggan_deep.Config(6, 3, 8, ((True, 4, 2),), attention_position=-1, num_statistics=3)
        network = biggan_deep.BigGANDeep(config, key=jax.random.key(0))
    else:
        config = stylegan2.Config(z_dim=6, w_dim=6, channels=(4, 4), mapping_layers=2, num_classes=3)
        network = stylegan2.StyleGAN2(config, key=jax.random.key(0))
    generator = base.split(network)
    z, label = latents.from_seeds([3, 3], 6), np.eye(3, dtype=np.float32)[[2, 1]]
    inputs = _inputs(tmp_path, generator, z=z, label=label)
    starts = edited_images.starts_of_file(inputs)
    loaded = _load(tmp_path, "age_boundary", np.ones((1, 6)))
    found, view = edited_images.resolve(loaded, View(), generator)
    for start, index in zip(starts, (2, 1), strict=True):
        own = edited_images.edited_images(generator, found, start, [[Edit(0)], []], view)
        moved = jnp.asarray(np.stack([z[0] + 2.0, z[0]]))
        mapped = synthesis.map_latents(generator, moved, index)
        np.testing.assert_allclose(own, synthesis.synthesize(generator, mapped, label=index), atol=1e-5)
