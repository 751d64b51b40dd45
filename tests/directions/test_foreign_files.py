"""Files of the original, of encoder4editing and of InterFaceGAN: read as they are,
written back bit for bit.
"""

import os
import pathlib
import pickle
from typing import Any

import jax
import jaxtyping
import numpy as np
import pytest

from ganspace_jax.directions import components, foreign_files
from ganspace_jax.directions.direction_arrays import Latents
from ganspace_jax.directions.edits import Edit
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, stylegan2
from tests import calls

PUBLISHED = pathlib.Path(__file__).parents[1] / "golden" / "published"
EDIT = PUBLISHED / "StyleGAN2-Light_direction-ffhq-ipca-w-style-comp15-range8-9.pkl"


@pytest.fixture(autouse=True)
def as_users_run():
    """Turns the annotations' checks off, which would refuse arrays before the checks
    that users have.
    """
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def _original(rng, layer, latent, in_w=False):
    """The arrays of a file of the original, of 3 components; layer: channels first."""
    act_comp = rng.standard_normal((3, 1, *layer))
    arrays = {
        "act_comp": act_comp,
        "act_mean": rng.standard_normal((1, *layer)),
        "act_stdev": rng.uniform(1, 2, 3),
        "lat_comp": act_comp if in_w else rng.standard_normal((3, 1, latent)),
        "lat_mean": rng.standard_normal((1, latent)),
        "lat_stdev": np.ones(3),
        "var_ratio": np.array([0.5, 0.2, 0.1]),
        "random_stdevs": rng.uniform(0, 1, 3),
    }
    return {name: np.asarray(array, np.float32) for name, array in arrays.items()}


@pytest.mark.parametrize(
    ("name", "layer", "in_w", "source"),
    [
        ("biggan-512-red_fox_generator.gen_z_ipca_c80_n9", (8,), False, ("generator.gen_z", "z", 9, 0, "ipca")),
        ("stylegan2-car_convs.3_fbpca_c80_it2_l160_n9_w", (8, 4, 4), False, ("convs.3", "w", 9, 0, "fbpca")),
        ("progan-bedroom_layer4_ica_c3_w_n9", (8, 4, 4), False, ("layer4", "z", 9, 0, "ica")),
        ("progan-bedroom_layer4_spca_c3_a10.0_n9_seed2", (8, 4, 4), False, ("layer4", "z", 9, 2, "spca")),
        ("model-class_b8.conv1_pca-full_c3_n9_w", (8, 4, 4), False, ("b8.conv1", "w", 9, 0, "pca-full")),
        ("stylegan2-ffhq_style_ipca_c80_n1000000_w_seed5", (6,), True, ("w", "w", 1_000_000, 5, "ipca")),
        (
            "biggan-512-husky_generator.gen_z_ipca_c80_n300000",
            (8, 4, 4),
            False,
            ("generator.gen_z", "z", 300_000, 0, "ipca"),
        ),
        ("stylegan2-ffhq_convs.3_ipca_c80_n1000000_w", (8, 4, 4), False, ("convs.3", "w", 1_000_000, 0, "ipca")),
        ("renamed", (8, 4, 4), False, ("unknown", "z", 0, 0, "unknown")),
    ],
)
def test_the_originals_components_come_back_bit_for_bit(tmp_path, name, layer, in_w, source):
    arrays = _original(np.random.default_rng(0), layer, 6, in_w)
    np.savez(tmp_path / f"{name}.npz", allow_pickle=False, **arrays)
    found = foreign_files.load_components(tmp_path / f"{name}.npz")
    about, spec = found.source, found.spec
    assert (spec.layer, spec.latent_space, about.num_samples, about.seed, about.estimator) == source
    assert found.activation_components.shape == ((3, *layer) if len(layer) == 1 else (3, 4, 4, 8))
    assert np.isnan(found.r2).all()
    components.save(tmp_path / "again.npz", found)
    with np.load(tmp_path / "again.npz") as again:
        for key, array in arrays.items():
            np.testing.assert_array_equal(again[key], array)
            assert again[key].dtype == np.float32


def test_encoder4editings_components():
    """Those of FFHQ: unit rows, falling standard deviations, and the layer
    is w itself.
    """
    found = foreign_files.load_components(PUBLISHED / "ffhq_pca.npz")
    with np.load(PUBLISHED / "ffhq_pca.npz") as file:
        np.testing.assert_array_equal(found.latent_components, file["comp"][:, 0])
        np.testing.assert_array_equal(found.latent_stdevs, file["std"])
        np.testing.assert_array_equal(found.latent_mean, file["mean"][0])
    assert len(found) == 80 and found.spec.latent_space == found.spec.layer == "w"
    np.testing.assert_allclose(found.latent_components @ found.latent_components.T, np.eye(80), atol=1e-5)


def test_a_boundary_is_one_component():
    found = foreign_files.load_components(PUBLISHED / "stylegan_ffhq_pose_w_boundary.npy")
    np.testing.assert_array_equal(found.latent_components, np.load(PUBLISHED / "stylegan_ffhq_pose_w_boundary.npy"))
    assert len(found) == 1 and found.latent_stdevs == 1.0
    np.testing.assert_allclose(np.linalg.norm(found.latent_components), 1.0)


def test_an_exported_edit_comes_back_bit_for_bit(tmp_path):
    exported = foreign_files.load_edit(EDIT)
    assert exported["name"] == "Light direction" and exported["component_index"] == 15
    assert foreign_files.edit_of(exported) == Edit(0, (8, 9), float(exported["sigma_range"]))
    foreign_files.save_edit(tmp_path / "again.pkl", exported)
    assert b"numpy._core" not in (tmp_path / "again.pkl").read_bytes()  # which older NumPys do not have
    for again in (foreign_files.load_edit(tmp_path / "again.pkl"), pickle.loads((tmp_path / "again.pkl").read_bytes())):
        assert again.keys() == exported.keys()
        for key, value in exported.items():
            np.testing.assert_array_equal(again[key], value)
            assert np.asarray(again[key]).dtype == np.asarray(value).dtype


def test_an_exported_edit_is_of_the_published_component():
    """The file's component 15 of FFHQ and encoder4editing's: two runs of one analysis,
    as SOURCES.md says.
    """
    own = foreign_files.load_components(EDIT)
    other = foreign_files.load_components(PUBLISHED / "ffhq_pca.npz")
    assert own.latent_components[0] @ other.latent_components[15] == pytest.approx(0.9998, abs=1e-4)
    assert own.latent_stdevs[0] == pytest.approx(1.0335, abs=1e-4)
    assert own.spec.latent_space == "w" and own.source.num_samples == 1_000_000


def test_our_edit_reads_as_the_originals(tmp_path):
    config = stylegan2.Config(z_dim=6, w_dim=6, channels=(4, 4), mapping_layers=2)
    generator = base.split(stylegan2.StyleGAN2(config, key=jax.random.key(0)))
    found = calls.decompose(generator, num_samples=200, num_components=3, name="g")
    exported = foreign_files.export(found, Edit(2, (1, 3), -1.5), name="tilt", num_layers=4, truncation=0.7, seed=9)
    foreign_files.save_edit(tmp_path / "e.pkl", exported)
    assert exported.keys() == foreign_files.load_edit(EDIT).keys() - {"use_slerp"}
    again = foreign_files.load_edit(tmp_path / "e.pkl")
    assert foreign_files.edit_of(again) == Edit(0, (1, 3), -1.5)
    one = foreign_files.components_of(again)
    np.testing.assert_array_equal(one.latent_components, found.latent_components[2:])
    assert one.latent_stdevs == pytest.approx(found.latent_stdevs[2])


def test_a_published_edit_that_is_exported_again_stays_of_its_network():
    """The viewer looks for the network's name, class and layer, and for the component's
    number.
    """
    published = foreign_files.load_edit(EDIT)
    found, edit = foreign_files.components_of(published), Edit(0, (2, 5), 3.5)
    again = foreign_files.export(found, edit, name="x", num_layers=18, truncation=0.5, seed=7, published=published)
    own = {"name": "x", "sigma_range": 3.5, "edit_start": 2, "edit_end": 5, "truncation": 0.5, "example_seed": 7}
    assert again.keys() == published.keys()
    for key, value in published.items():
        np.testing.assert_array_equal(again[key], own.get(key, value), err_msg=key)


def test_whole_numbers_are_read_however_they_were_written(tmp_path):
    written = {
        **foreign_files.load_edit(EDIT),
        "sigma_range": 2,
        "edit_start": np.int64(8),
        "component_index": np.int32(3),
    }
    foreign_files.save_edit(tmp_path / "e.pkl", written)
    assert foreign_files.edit_of(foreign_files.load_edit(tmp_path / "e.pkl")) == Edit(0, (8, 9), 2.0)


class _Malicious:
    def __reduce__(self):
        return os.system, ("touch executed",)


def test_nothing_in_an_edit_is_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "e.pkl").write_bytes(pickle.dumps({"name": _Malicious()}))
    with pytest.raises(InputError, match=r"e\.pkl: not a components file: it holds name;"):
        foreign_files.load_components(tmp_path / "e.pkl")
    assert not (tmp_path / "executed").exists()


def test_other_files_are_refused_by_name(tmp_path):
    np.savez(tmp_path / "a.npz", comp=np.zeros((2, 1, 4)), mean=np.zeros((1, 4)), std=np.zeros(3))
    np.savez(tmp_path / "b.npz", act_comp=np.zeros((2, 1, 4)), lat_comp=np.zeros((2, 1, 4)))
    np.save(tmp_path / "c.npy", np.zeros((2, 3, 4, 5)))
    (tmp_path / "d.pkl").write_bytes(pickle.dumps({"name": "x", "sigma_range": "wide"}))
    exported = foreign_files.load_edit(EDIT)
    foreign_files.save_edit(tmp_path / "e.pkl", {**exported, "act_comp": np.zeros((0, 512))})
    foreign_files.save_edit(tmp_path / "f.pkl", {**exported, "decomposition": {"samples": "many"}})
    foreign_files.save_edit(tmp_path / "g.pkl", {**exported, "edit_start": True})
    np.savez(tmp_path / "h.npz", comp=np.full((2, 1, 4), "a"), mean=np.zeros((1, 4)), std=np.zeros(2))
    messages = {
        "a.npz": r"std has shape \(3,\), must hold 2 numbers",
        "b.npz": "it has no array 'act_mean'",
        "c.npy": r"it holds an array of shape \(2, 3, 4, 5\); must hold one array \[d\], \[1, d\]",
        "d.pkl": "not an exported edit: sigma_range is str, not float",
        "e.pkl": "activation_components: has shape .*, which holds no numbers",
        "f.pkl": "not a components file: invalid literal",
        "g.pkl": "edit_start is bool, not int",
        "h.npz": "activation_components: must hold numbers, holds <U1",
        "missing.npz": "no such components file",
    }
    for name, message in messages.items():
        with pytest.raises(InputError, match=rf"{name}: .*{message}"):
            foreign_files.load_components(tmp_path / name)


def _save_torch(path, content):
    torch = pytest.importorskip("torch")
    torch.save({key: torch.tensor(value) for key, value in content.items()}, path)


@pytest.mark.parametrize("layers", [(), (1,), (5,)])
@pytest.mark.parametrize("column", [False, True])
def test_a_pca_is_flat_or_by_layer(tmp_path, layers, column):
    rng = np.random.default_rng(0)
    comp, std = rng.standard_normal((3, *layers, 4)), np.array([3.0, 2.0, 1.0])
    shape = (5, 4) if layers == (5,) else (4,)
    means = [rng.standard_normal(size) for size in {(4,), (1, 4), (1, *shape), shape}]
    for mean in means:
        np.savez(tmp_path / "pca.npz", comp=comp, mean=mean, std=std[:, None] if column else std)
        found = foreign_files.load_components(tmp_path / "pca.npz")
        np.testing.assert_array_equal(found.latent_components, comp.reshape(3, *shape))
        expected = np.broadcast_to(mean.reshape(-1, 4), (comp[0].size // 4, 4)).reshape(shape)
        np.testing.assert_array_equal(found.latent_mean, expected)
        np.testing.assert_array_equal(found.latent_stdevs, std)
        assert found.spec.latent_space == "w"


DIRECTIONS = {"flat": (4,), "row": (1, 4), "by layer": (5, 4), "by layer in a batch": (1, 5, 4)}


@pytest.mark.parametrize("kind", DIRECTIONS)
@pytest.mark.parametrize("ending", ["npy", "npz", "pkl"])
def test_one_direction_keeps_its_length_and_has_no_mean(tmp_path, kind, ending):
    direction = np.random.default_rng(0).standard_normal(DIRECTIONS[kind])
    path = tmp_path / f"age.{ending}"
    if ending == "pkl":
        path.write_bytes(pickle.dumps(direction))
    else:
        (np.save if ending == "npy" else np.savez)(path, direction)
    found = foreign_files.load_components(path)
    np.testing.assert_array_equal(found.latent_components[0], direction.reshape(DIRECTIONS[kind][-2:]).squeeze())
    assert len(found) == 1 and found.latent_stdevs == 1 and found.latent_mean is None
    sentence = "in w or z: w is assumed" if direction.size == 4 else "one direction with a row for each of 5 layers"
    assert sentence in found.source.assumptions[0] and len(found.source.assumptions) == 1


@pytest.mark.parametrize(
    ("stem", "named", "space", "is_told"),
    [
        ("smile_boundary", None, "z", True), ("smile_w_boundary", None, "w", True), ("w_boundary", None, "w", True),
        ("smile_boundary", "w", "w", False), ("smile_w_boundary", "z", "z", False), ("smile", None, "w", True),
        ("smile", "z", "z", False), ("new_boundary", None, "z", True), ("Smile_W_Boundary", None, "w", True),
        ("smile-w-boundary", None, "w", True), ("Smile_Boundary", None, "z", True),
    ],
)  # fmt: skip
def test_the_name_of_a_boundary_tells_its_space_and_the_user_overrides_it(tmp_path, stem, named, space, is_told):
    np.save(tmp_path / f"{stem}.npy", np.ones((1, 4)))
    found = foreign_files.load_components(tmp_path / f"{stem}.npy", named)
    assert found.spec.latent_space == found.spec.layer == space
    assert bool(found.source.assumptions) == is_told


_ATTRIBUTES = ("age", "eyeglasses", "gender", "pose", "smile")
_CONDITIONAL = {
    "pggan_celebahq": (
        "age_c_eyeglasses", "age_c_gender", "age_c_gender_eyeglasses", "eyeglasses_c_age", "eyeglasses_c_age_gender",
        "eyeglasses_c_gender", "gender_c_age", "gender_c_age_eyeglasses", "gender_c_eyeglasses", "quality",
    ),
    "stylegan_celebahq": (),
    "stylegan_ffhq": ("age_c_eyeglasses", "age_c_gender", "eyeglasses_c_age", "eyeglasses_c_gender"),
}  # fmt: skip
INTERFACEGAN = {
    **{f"{model}_{name}_boundary": "z" for model, names in _CONDITIONAL.items() for name in (*_ATTRIBUTES, *names)},
    **{f"stylegan_{data}_{name}_w_boundary": "w" for data in ("celebahq", "ffhq") for name in _ATTRIBUTES},
}


def test_all_published_boundaries_are_in_their_space(tmp_path):
    """The names are those of the folder boundaries/ of genforce/interfacegan."""
    assert len(INTERFACEGAN) == 39 and list(INTERFACEGAN.values()).count("w") == 10
    for name, space in INTERFACEGAN.items():
        np.save(tmp_path / f"{name}.npy", np.ones((1, 4)))
        found = foreign_files.load_components(tmp_path / f"{name}.npy")
        assert found.spec.latent_space == space, name


@pytest.mark.parametrize(
    ("folder", "space"),
    [
        ("stylegan2_ffhq_w", "w"),
        ("stylegan2_ffhq_z", "z"),
        ("age_w_boundary", "w"),
        ("w", "w"),
        ("new", "z"),
        ("ffhq_w/smile", "w"),
        ("ffhq_w/smile_z", "z"),
    ],
)
def test_a_boundary_without_a_name_has_that_of_its_folder(tmp_path, folder, space):
    (tmp_path / folder).mkdir(parents=True)
    for name in ("boundary", "boundary_Smiling"):
        np.save(tmp_path / folder / f"{name}.npy", np.ones((1, 4)))
        assert foreign_files.load_components(tmp_path / folder / f"{name}.npy").spec.latent_space == space
    np.save(tmp_path / folder / "smile_boundary.npy", np.ones((1, 4)))
    assert foreign_files.load_components(tmp_path / folder / "smile_boundary.npy").spec.latent_space == "z"


W_AND_Z, Z_ONLY = Latents("w", 5, {"z": 4, "w": 4}), Latents("z", 1, {"z": 4})


def test_the_generator_tells_a_space_that_the_file_does_not(tmp_path):
    np.save(tmp_path / "age.npy", np.ones((3, 4)))
    np.savez(tmp_path / "pca.npz", comp=np.ones((3, 4)))
    for latents, space in ((W_AND_Z, "w"), (Z_ONLY, "z")):
        for name in ("age.npy", "pca.npz"):
            found = foreign_files.load_components(tmp_path / name, latents=latents)
            assert found.spec.latent_space == space and len(found) == 3
    told = foreign_files.load_components(tmp_path / "age.npy", latents=Z_ONLY).source
    assert not told.assumes_space and "because the generator has no w" in told.assumptions[0]
    assert foreign_files.load_components(tmp_path / "age.npy", latents=W_AND_Z).source.assumes_space


def test_named_directions_are_components_whose_names_are_told(tmp_path):
    directions = {"age": np.arange(4.0), "smile": np.ones((1, 4))}
    (tmp_path / "all.pkl").write_bytes(pickle.dumps(directions))
    np.savez(tmp_path / "all.npz", **directions)  # pyright: ignore[reportArgumentType]
    for name in ("all.pkl", "all.npz"):
        found = foreign_files.load_components(tmp_path / name, "w")
        np.testing.assert_array_equal(found.latent_components, [np.arange(4.0), np.ones(4)])
        assert found.source.assumptions == ("v0 is age, v1 is smile",) and not found.source.assumes_space


@pytest.mark.parametrize("name", ["comp", "components", "components_"])
def test_a_pca_need_not_hold_mean_and_standard_deviations(tmp_path, name):
    rows = np.random.default_rng(0).standard_normal((5, 4))
    np.savez(tmp_path / "a.npz", **{name: rows})  # pyright: ignore[reportArgumentType]
    found = foreign_files.load_components(tmp_path / "a.npz", latents=W_AND_Z)
    np.testing.assert_array_equal(found.latent_components, rows)
    assert found.latent_mean is None and (found.latent_stdevs == 1).all()
    assert "no mean and no standard deviations" in found.source.assumptions[0]


COMP, MEAN, STD = np.arange(8.0).reshape(2, 4), np.arange(4.0), np.array([2.0, 0.5])
PCA = {
    "lists": {"comp": COMP.tolist(), "mean": MEAN.tolist(), "std": STD.tolist()},
    "lists of arrays": {"comp": list(COMP), "mean": MEAN, "std": [np.float32(2), 0.5]},
    "variances": {"components_": COMP, "mean_": MEAN, "explained_variance_": STD**2},
    "an axis in front": {"comp": COMP[None], "mean": MEAN[None], "std": STD[None]},
    "deeper": {"pca": {"comp": COMP, "mean": MEAN, "std": STD}, "layer": "style"},
}


@pytest.mark.parametrize("kind", PCA)
def test_a_pca_of_every_form_keeps_its_mean_and_standard_deviations(tmp_path, kind):
    (tmp_path / "pca.pkl").write_bytes(pickle.dumps(PCA[kind]))
    found = foreign_files.load_components(tmp_path / "pca.pkl", latents=W_AND_Z)
    np.testing.assert_array_equal(found.latent_components, COMP)
    np.testing.assert_array_equal(found.latent_mean, MEAN)
    np.testing.assert_array_equal(found.latent_stdevs, STD)


def test_the_standard_deviation_of_one_component_may_be_a_number(tmp_path):
    (tmp_path / "pca.pkl").write_bytes(pickle.dumps({"comp": COMP[:1], "mean": MEAN, "std": np.float64(2)}))
    np.testing.assert_array_equal(foreign_files.load_components(tmp_path / "pca.pkl").latent_stdevs, [2])


@pytest.mark.parametrize("name", ["eigvec", "eig_vec", "eigenvectors"])
def test_eigenvectors_are_columns(tmp_path, name):
    square = np.arange(16.0).reshape(4, 4)
    for content in (square, square[None], square.tolist()):
        (tmp_path / "factor.pkl").write_bytes(pickle.dumps({"ckpt": "5.pt", name: content}))
        found = foreign_files.load_components(tmp_path / "factor.pkl", latents=W_AND_Z)
        np.testing.assert_array_equal(found.latent_components, square.T)


@pytest.mark.parametrize("key", ["z", "w"])
def test_the_key_of_a_direction_tells_its_space(tmp_path, key):
    np.savez(tmp_path / "smile_boundary.npz", **{key: np.ones((1, 4))})  # pyright: ignore[reportArgumentType]
    assert foreign_files.load_components(tmp_path / "smile_boundary.npz").spec.latent_space == key


@pytest.mark.parametrize("layer", [(4,), (3, 2, 2)])
def test_ganspaces_components_may_be_flat(tmp_path, layer):
    rng, path = np.random.default_rng(0), tmp_path / "StyleGAN2-x_convs.0_ipca_c2_n9_w.npz"
    comp, mean, w = rng.standard_normal((2, *layer)), rng.standard_normal(layer), rng.standard_normal((2, 4))
    figures = {name: np.ones(2) for name in ("act_stdev", "lat_stdev", "var_ratio", "random_stdevs")}
    flat = {"act_comp": comp, "act_mean": mean, "lat_comp": w, "lat_mean": w[0]}
    published = {"act_comp": comp[:, None], "act_mean": mean[None], "lat_comp": w[:, None], "lat_mean": w[:1]}
    found = []
    for arrays in (flat, published):
        np.savez(path, **arrays, **figures)  # pyright: ignore[reportArgumentType]
        found.append(foreign_files.load_components(path))
    for name in ("activation_components", "activation_mean", "latent_components", "latent_mean"):
        np.testing.assert_array_equal(getattr(found[0], name), getattr(found[1], name))


def test_a_direction_of_zeros_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((1, 4)))
    with pytest.raises(InputError, match=r"a\.npy: not a components file: its directions are zero"):
        foreign_files.load_components(tmp_path / "a.npy")


def test_the_parameters_of_a_deformator_are_no_directions(tmp_path):
    np.savez(tmp_path / "a.npz", log_mat_half=np.ones((4, 4)))
    with pytest.raises(InputError, match="GANLatentDiscovery's deformator"):
        foreign_files.load_components(tmp_path / "a.npz")


def test_the_number_of_rows_of_one_direction_by_layer_is_told(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((3, 4)))
    told = foreign_files.load_components(tmp_path / "a.npy", latents=W_AND_Z).source.assumptions
    assert "it holds 3 directions, v0 to v2 (one direction by layer would have 5 rows)" in told


def test_directions_by_layer_are_not_in_z(tmp_path):
    np.save(tmp_path / "age.npy", np.ones((5, 4)))
    with pytest.raises(InputError, match="--latent_space=z: the directions of .*age.npy are in w"):
        foreign_files.load_components(tmp_path / "age.npy", "z")


def test_the_directions_of_a_factorization_are_columns(tmp_path):
    columns = np.random.default_rng(0).standard_normal((4, 3))
    np.savez(tmp_path / "factor.npz", eigvec=columns, ckpt="550000.pt")
    found = foreign_files.load_components(tmp_path / "factor.npz")
    np.testing.assert_array_equal(found.latent_components, columns.T)


def test_the_content_tells_the_format_and_not_the_ending(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((1, 4)))
    for ending in ("pt", "pkl", "npz"):
        (tmp_path / f"a.{ending}").write_bytes((tmp_path / "a.npy").read_bytes())
        assert len(foreign_files.load_components(tmp_path / f"a.{ending}")) == 1


def test_files_of_torch_hold_the_same_kinds(tmp_path):
    comp, mean, std = np.ones((2, 4)), np.zeros(4), np.ones((2, 1))
    for ending in ("pt", "npy"):
        _save_torch(tmp_path / f"pca.{ending}", {"comp": comp, "mean": mean, "std": std})
        assert foreign_files.load_components(tmp_path / f"pca.{ending}").latent_components.shape == (2, 4)


def test_a_network_is_refused_with_the_names_in_it(tmp_path):
    arrays: dict[str, Any] = {"linear.weight": np.ones((4, 4))}
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=r"a\.npz: not a components file: it holds linear\.weight; must hold"):
        foreign_files.load_components(tmp_path / "a.npz")


@pytest.mark.parametrize("number", [np.nan, np.inf, 1e30])
def test_a_direction_of_numbers_that_cannot_be_used_is_refused(tmp_path, number):
    np.save(tmp_path / "a.npy", np.array([[1.0, number]]))
    with pytest.raises(InputError, match=r"a\.npy: not a components file: activation_components: contains"):
        foreign_files.load_components(tmp_path / "a.npy")


def test_very_many_names_of_directions_are_counted_and_not_listed(tmp_path):
    names = [f"n{index}" for index in range(103)]
    np.savez(tmp_path / "many.npz", **{name: np.ones(4, np.float32) for name in names})
    sentence = foreign_files.load_components(tmp_path / "many.npz").source.assumptions[-1]
    assert sentence.endswith("v99 is n99, and 3 more") and "n100" not in sentence
