"""Groups of sliders: what is shown of each direction, and which row it moves."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from experiments.explorer import directions, sources
from experiments.explorer.state import Move
from ganspace_jax.directions import foreign_arrays, published_edits
from ganspace_jax.directions.edits import Edit
from ganspace_jax.directions.sources import Source
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, stylegan2
from ganspace_jax.sampling.layers import LayerSpec


@pytest.fixture(scope="module")
def generator():
    config = stylegan2.Config(z_dim=6, w_dim=6, channels=(4, 4), mapping_layers=2)
    return base.split(stylegan2.StyleGAN2(config, key=jax.random.key(0)))


def _components(count, seed, space="w", shape=(6,), layer=None):
    rows = np.random.default_rng(seed).standard_normal((count, *shape)).astype(np.float32)
    made = foreign_arrays.with_unknowns(
        activation_components=rows, activation_mean=None, activation_stdevs=np.ones(count, np.float32),
        latent_components=rows, latent_mean=None, latent_stdevs=np.full(count, 1.0 + seed, np.float32),
        spec=LayerSpec(layer or space, space), source=Source("test"),
    )  # fmt: skip
    return made if seed else dataclasses.replace(made, latent_mean=np.ones(shape, np.float32))


def _combined(generator, *files):
    main = _components(3, 0)
    parts = [sources.main_source(main, "main"), *sources.file_sources(files), sources.random_source(main)]
    return directions.combine(parts, generator)


def test_every_slider_moves_the_row_of_its_file(generator):
    files = [("a/smile.npy", _components(1, 1)), ("pca.npz", _components(2, 2)), ("age.pkl", _components(1, 3))]
    found = _combined(generator, *files)
    assert [group.key for group in found.groups] == ["components", "named", "file2", "random"]
    assert [slider.name for slider in found.groups[1].sliders] == ["smile", "age"]
    rows = {"components": _components(3, 0), "file2": files[1][1]}
    for key, expected in rows.items():
        for k in range(len(expected)):
            (edit,) = found.edits([Move(key, k, (1, 2), 0.5)], "latent")
            assert edit == Edit(edit.component, (1, 2), 0.5)
            np.testing.assert_array_equal(
                found.components.latent_components[edit.component], expected.latent_components[k]
            )
            assert found.components.latent_stdevs[edit.component] == expected.latent_stdevs[k]
    (age,) = found.edits([Move("named", 1)], "latent")
    np.testing.assert_array_equal(found.components.latent_components[age.component], files[2][1].latent_components[0])
    np.testing.assert_array_equal(found.components.latent_mean, np.ones(6))


def test_random_directions_have_the_size_of_the_components(generator):
    found = _combined(generator)
    rows = [slider.row for slider in found.group("random").sliders]
    np.testing.assert_allclose(np.linalg.norm(found.components.latent_components[rows], axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(found.components.latent_stdevs[rows], found.components.latent_stdevs[:3])


def test_directions_by_layer_lie_beside_directions_for_all_layers(generator):
    layers = generator.latent_shape[0]
    found = _combined(generator, ("rows.npy", _components(2, 1, shape=(layers, 6))))
    assert found.components.latent_components.shape == (8, layers, 6)
    main = _components(3, 0).latent_components
    np.testing.assert_array_equal(found.components.latent_components[:3], np.repeat(main[:, None], layers, 1))
    assert found.components.latent_mean.shape == (layers, 6)


def test_directions_that_do_not_fit_are_named(generator):
    with pytest.raises(InputError, match="the directions of z are in z, those of the first file in w"):
        _combined(generator, ("z.npy", _components(2, 1, space="z")))
    with pytest.raises(InputError, match="directions of 5 numbers"):
        _combined(generator, ("five.npy", _components(2, 1, shape=(5,))))


def test_a_direction_without_an_activation_moves_latents_only(generator):
    main = dataclasses.replace(
        _components(2, 0, layer="b4.conv1"), activation_components=np.ones((2, 4, 4, 4), np.float32)
    )
    parts = [sources.main_source(main, "main"), *sources.file_sources([("smile.npy", _components(1, 1))])]
    found = directions.combine(parts, generator)
    assert found.edits([Move("components", 1), Move("named", 0)], "latent")
    with pytest.raises(InputError, match="smile: its direction in the activation is unknown"):
        found.edits([Move("named", 0)], "activation")


def test_unknown_figures_are_null(generator):
    main = dataclasses.replace(_components(3, 0), r2=np.array([np.nan, 0.2, 0.9], np.float32))
    found = directions.combine([sources.main_source(main, "main")], generator)
    found = directions.with_moves(found, [["size +1.2"], []])
    shown = json.loads(json.dumps(directions.to_json(found), allow_nan=False))[0]["sliders"]
    assert [one["r2"] for one in shown] == [None, pytest.approx(0.2), pytest.approx(0.9)]
    assert [one["low_r2"] for one in shown] == [False, True, False]
    assert [one["variance"] for one in shown] == [None] * 3
    assert [one["moves"] for one in shown] == [["size +1.2"], [], []]
    assert shown[0]["range"] == [-3.0, 3.0] and shown[0]["layers"] is None


def test_published_edits_are_shown_for_their_network_alone(generator):
    edit = next(one for one in published_edits.published() if one.family == "stylegan2" and one.data == "ffhq")
    main = _components(edit.edit.component + 1, 0, layer=edit.layer)
    assert sources.published_source(main, "stylegan2-scenes", generator) is None
    assert sources.published_source(_components(80, 0, layer="w"), "stylegan2-ffhq", generator) is None
    found = sources.published_source(main, "runs/stylegan2-ffhq-1024", generator)
    names = dict(zip(found.names, range(100), strict=False))
    k = names[edit.name]
    np.testing.assert_array_equal(found.components.latent_components[k], main.latent_components[edit.edit.component])
    assert found.layers[k] == edit.edit.layers and found.reaches[k] >= abs(edit.edit.sigma)


def test_a_group_is_named_after_its_file_or_after_its_directory():
    files = [("runs/named/components.npz", _components(2, 1)), ("runs/age.npz", _components(2, 1))]
    assert [one.title for one in sources.file_sources(files)] == ["named", "age"]
