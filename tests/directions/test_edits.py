"""Edits: their text form, and what they do to latents and activations."""

import dataclasses

import jax
import numpy as np
import pytest

from ganspace_jax.directions import array_moves, edits
from ganspace_jax.directions.components import Components, Source
from ganspace_jax.directions.edits import ALL, Edit
from ganspace_jax.directions.named_directions import NamedDirection
from ganspace_jax.errors import InputError
from ganspace_jax.sampling.layers import LayerSpec


@pytest.fixture(scope="module")
def basis():
    rng = np.random.default_rng(0)
    unit = lambda *shape: np.linalg.qr(rng.standard_normal((shape[-1], shape[-1])))[0][: shape[0]].astype(np.float32)  # noqa: E731
    stdevs = np.array([3.0, 2.0, 1.0], np.float32)
    return Components(
        activation_components=unit(3, 24).reshape(3, 2, 3, 4),
        activation_mean=rng.standard_normal((2, 3, 4)).astype(np.float32),
        activation_stdevs=stdevs,
        latent_components=unit(3, 6),
        latent_mean=rng.standard_normal(6).astype(np.float32),
        latent_stdevs=stdevs * 2,
        variance_ratio=stdevs,
        random_stdevs=stdevs,
        r2=stdevs,
        stability=stdevs,
        latent_uncertainty=stdevs,
        variance_error=stdevs,
        spec=LayerSpec("layer", "w"),
        source=Source("g", "f", num_samples=10),
    )


@pytest.fixture(scope="module")
def latents():
    return jax.random.normal(jax.random.key(0), (2, 5, 6))


@pytest.mark.parametrize(
    ("text", "edit"),
    [
        ("E(v3, 0-4)=2.5", Edit(3, (0, 5), 2.5)),
        ("E(v0,2)=-1", Edit(0, (2, 3), -1.0)),
        (" E( v12 , all ) = 1e-1 ", Edit(12, ALL, 0.1)),
        ("E(v1)", Edit(1, None, 2.0)),
        ("light_intensity=2", Edit("light_intensity", None, 2.0)),
        (" light-2 ", Edit("light-2", None, 2.0)),
        ("E(_a, 0-4)=-0.123456789", Edit("_a", (0, 5), -0.123456789)),
        ("E(v2_a, all)", Edit("v2_a", ALL)),
        ("horizontal:=0.5", Edit("horizontal", None, value=0.5)),
        ("E( E , 1 ) := -1e-3", Edit("E", (1, 2), value=-0.001)),
        ("E(v3):=0.25", Edit(3, None, value=0.25)),
    ],
)
def test_the_text_form_parses_and_comes_back(text, edit):
    assert Edit.parse(text) == edit
    assert Edit.parse(str(edit)) == edit


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v3",
        "E(3)",
        "E(v-1)",
        "E(v1, 2-)",
        "E(v1)=",
        "E(v1)=2=3",
        "E(v1,0-4",
        "E(v1)=x",
        "v3=2",
        "v3:=2",
        "v-1=2",
        "3x=2",
        "a b=2",
        "a=:2",
        "a==2",
        "a:2",
        "a:=",
        "a:=nan",
        "a:=inf",
        "a=2,b=2",
        "E(a",
        "E(a)(b)",
        "ä=2",
        "'a=2'",
    ],
)
def test_other_texts_are_refused_by_name(text):
    with pytest.raises(InputError, match="--edit="):
        Edit.parse(text)


@pytest.mark.parametrize(
    "edit",
    [Edit(3), Edit(-1), Edit(0, (0, 6)), Edit(0, (3, 3)), Edit(0, (4, 2)), Edit(0, None, 1e39), Edit(0, None, np.nan)],
)
def test_edits_out_of_range_are_refused(basis, latents, edit):
    with pytest.raises(InputError, match="--edit="):
        edits.apply(latents, basis, [edit])


def test_only_the_named_layers_move_and_by_the_named_step(basis, latents):
    moved = edits.apply(latents, basis, [Edit(1, (1, 3), 0.5)])
    difference = np.asarray(moved - latents)
    assert (difference[:, [0, 3, 4]] == 0).all()
    np.testing.assert_allclose(difference[:, 1:3] @ basis.latent_components[1], 0.5 * basis.latent_stdevs[1], rtol=1e-5)
    np.testing.assert_allclose(difference[:, 1:3] @ basis.latent_components[0], 0.0, atol=1e-5)


def test_a_centred_edit_sets_the_coordinate(basis, latents):
    moved = np.asarray(edits.apply(latents, basis, [Edit(2, (0, 4), 1.5)], centred=True))
    coordinates = (moved - basis.latent_mean) @ basis.latent_components[2]
    np.testing.assert_allclose(coordinates[:, :4], 1.5 * basis.latent_stdevs[2], rtol=1e-4)
    np.testing.assert_array_equal(moved[:, 4], latents[:, 4])


def test_layers_with_a_piece_of_z_each_move_their_pieces(basis, latents):
    """Six numbers shared by three layers: an edit of all layers moves z, one of some
    moves only their numbers.
    """
    z = latents.reshape(-1, 6)
    step = 0.5 * basis.latent_stdevs[1] * basis.latent_components[1]
    everywhere = edits.apply(z.reshape(-1, 3, 2), basis, [Edit(1, None, 0.5)])
    np.testing.assert_allclose(np.reshape(everywhere, (-1, 6)), z + step, rtol=1e-5, atol=1e-5)
    last = edits.apply(z.reshape(-1, 3, 2), basis, [Edit(1, (2, 3), 0.5)])
    np.testing.assert_allclose(np.reshape(last, (-1, 6)), z + np.r_[np.zeros(4), step[4:]], rtol=1e-5, atol=1e-5)


def test_a_centred_edit_sets_the_coordinate_of_a_z_in_pieces(basis, latents):
    z = latents.reshape(-1, 6)
    moved = edits.apply(z.reshape(-1, 3, 2), basis, [Edit(2, None, 1.5)], centred=True)
    coordinates = (np.reshape(moved, (-1, 6)) - basis.latent_mean) @ basis.latent_components[2]
    np.testing.assert_allclose(coordinates, 1.5 * basis.latent_stdevs[2], rtol=1e-4)


def test_edits_add_up_in_any_order(basis, latents):
    both = [Edit(0, (0, 3), 1.0), Edit(1, None, -2.0)]
    together = edits.apply(latents, basis, both)
    np.testing.assert_allclose(together, edits.apply(latents, basis, both[::-1]), atol=1e-5)
    one_by_one = edits.apply(edits.apply(latents, basis, both[:1]), basis, both[1:])
    np.testing.assert_allclose(together, one_by_one, atol=1e-5)


@pytest.mark.parametrize("centred", [False, True])
def test_three_edits_are_the_sum_of_the_definition(basis, latents, centred):
    """The definition in float64; the number of edits is filled up to four."""
    chosen = [Edit(0, (0, 3), 1.0), Edit(1, ALL, -2.0), Edit(2, (4, 5), 0.5)]
    expected = np.asarray(latents, np.float64).copy()
    for edit in chosen:
        u = np.asarray(basis.latent_components[edit.index], np.float64)
        layers = slice(*edits.layer_range(edit, 5))
        own = (np.asarray(latents, np.float64)[:, layers] - basis.latent_mean) @ u / (u @ u) if centred else 0.0
        expected[:, layers] += (edit.sigma * basis.latent_stdevs[edit.index] - own)[..., None] * u
    np.testing.assert_allclose(edits.apply(latents, basis, chosen, centred=centred), expected, rtol=1e-5, atol=1e-5)


def test_only_a_new_size_compiles(basis, latents):
    def run(count, sigma, layers, centred=False):
        chosen = [Edit(k % 3, layers, sigma + k) for k in range(count)]
        edits.apply(latents, basis, chosen, centred=centred)
        edits.activation_offset(basis, chosen)
        return array_moves._add._cache_size()

    first = run(5, 1.0, None)
    assert [run(count, sigma, (0, count % 4 + 1)) for count, sigma in ((6, -3.0), (7, 0.0), (8, 2.5))] == [first] * 3
    assert run(9, 1.0, None) == first + 2
    assert run(5, 1.0, None, centred=True) == run(8, 2.0, (1, 2), centred=True) == first + 3


def test_edits_that_fill_up_change_no_bit(basis, latents):
    one = edits.apply(latents, basis, [Edit(0, (1, 4), 1.7)])
    nothing = [Edit(k % 3, ALL, 0.0) for k in range(20)]
    np.testing.assert_array_equal(edits.apply(latents, basis, [Edit(0, (1, 4), 1.7), *nothing]), one)


def test_an_activation_offset_moves_along_the_component(basis):
    offset = edits.activation_offset(basis, [Edit(1, None, 2.0)])
    np.testing.assert_allclose(offset, 2.0 * 2.0 * basis.activation_components[1], rtol=1e-5)


def test_a_centred_activation_offset_sets_the_coordinate_over_the_whole_map(basis):
    activation = jax.random.normal(jax.random.key(1), (4, 2, 3, 4))
    after = np.asarray(activation + edits.activation_offset(basis, [Edit(0, None, -1.0)], activation))
    coordinates = ((after - basis.activation_mean) * basis.activation_components[0]).sum((1, 2, 3))
    np.testing.assert_allclose(coordinates, -3.0, rtol=1e-4)


def test_a_strip_goes_from_minus_sigma_to_sigma(basis, latents):
    frames = edits.strip(latents[0], basis, Edit(0, None, 2.0), num_frames=5)
    np.testing.assert_allclose(frames[2], latents[0], atol=1e-6)
    np.testing.assert_allclose(frames[0] + frames[4], 2 * latents[0], atol=1e-5)
    np.testing.assert_array_equal(frames[4], edits.apply(latents[:1], basis, [Edit(0, None, 2.0)])[0])


def test_each_layer_moves_along_its_own_direction_and_has_its_own_coordinate(basis, latents):
    """Directions of any length: after a centred edit the residual to the step is
    orthogonal to the direction.
    """
    rng = np.random.default_rng(3)
    directions, mean = rng.standard_normal((2, 3, 5, 6)).astype(np.float32) * 3
    own = dataclasses.replace(basis, latent_components=directions, latent_mean=mean[0])
    step = 0.5 * own.latent_stdevs[1] * directions[1]
    moved = edits.apply(latents, own, [Edit(1, (1, 4), 0.5)])
    inside = np.isin(np.arange(5), (1, 2, 3))[:, None]
    np.testing.assert_allclose(moved - latents, np.where(inside, step, 0.0)[None].repeat(2, 0), atol=1e-4)
    centred = np.asarray(edits.apply(latents, own, [Edit(1, (1, 4), 0.5)], centred=True))
    residual = np.einsum("nld,ld->nl", centred - mean[0] - step, directions[1])
    np.testing.assert_allclose(residual[:, 1:4], 0.0, atol=2e-3)
    np.testing.assert_array_equal(centred[:, [0, 4]], latents[:, [0, 4]])


@pytest.fixture(scope="module")
def named(basis):
    names = (NamedDirection("light_intensity", (1, 3)), NamedDirection("depth"), NamedDirection("v2_b", (4, 5)))
    return dataclasses.replace(basis, named=names)


@pytest.mark.parametrize(
    ("text", "resolved"),
    [
        ("light_intensity=2.5", Edit(0, (1, 3), 2.5)),
        ("E(light_intensity, 0-4)=2.5", Edit(0, (0, 5), 2.5)),
        ("E(light_intensity, all)=2.5", Edit(0, ALL, 2.5)),
        ("E(v0)=2.5", Edit(0, (1, 3), 2.5)),
        ("E(v0, all)=2.5", Edit(0, ALL, 2.5)),
        ("depth", Edit(1)),
        ("v2_b:=3", Edit(2, (4, 5), value=3.0)),
    ],
)
def test_names_stand_for_components_in_their_own_layers(named, latents, text, resolved):
    assert edits.resolve(Edit.parse(text), named) == edits.resolve(resolved, named) == resolved
    if resolved.value is None:
        np.testing.assert_array_equal(
            edits.apply(latents, named, [Edit.parse(text)]), edits.apply(latents, named, [resolved])
        )
        np.testing.assert_array_equal(
            edits.activation_offset(named, [Edit.parse(text)]), edits.activation_offset(named, [resolved])
        )


def test_names_that_do_not_exist_are_refused_with_a_hint(named, basis, latents):
    with pytest.raises(InputError, match="light_intensity'.*depth, v2_b") as caught:
        edits.apply(latents, named, [Edit.parse("ligth_intensity=2")])
    assert "did you mean" in str(caught.value)
    with pytest.raises(InputError, match="no names"):
        edits.apply(latents, basis, [Edit.parse("depth=2")])


def test_a_value_cannot_be_set_in_an_activation(named):
    with pytest.raises(InputError, match="mode=activation"):
        edits.activation_offset(named, [Edit.parse("depth:=2")])
