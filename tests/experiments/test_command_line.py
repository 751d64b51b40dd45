"""The commands as a user types them, on the shipped generator."""

import json
import pathlib
import shutil

import numpy as np
import pytest
from PIL import Image

from ganspace_jax.directions import components, foreign_files
from ganspace_jax.directions.edits import Edit
from ganspace_jax.sampling import devices
from tests.commands import run

ROOT = pathlib.Path(__file__).parents[2]
MODEL = ROOT / "ganspace_jax" / "models" / "stylegan2-scenes"


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    directory = tmp_path_factory.mktemp("run")
    result = run("decompose", "--num_samples=2000", "--num_components=6", f"--workdir={directory}")
    assert result.returncode == 0, result.stderr
    return directory


def test_decompose_writes_all_its_files(workdir):
    assert {p.name for p in workdir.iterdir()} >= {"components.npz", "run.flags", "summary.json", "variance.png"}
    summary = json.loads((workdir / "summary.json").read_text())
    assert summary["source"]["num_samples"] == 2000 and len(summary["components"]) == 6
    ratios = [row["variance_ratio"] for row in summary["components"]]
    assert ratios == sorted(ratios, reverse=True) and 0 < sum(ratios) <= 1


def test_its_flagfile_repeats_therun(workdir, tmp_path):
    again = run("decompose", f"--flagfile={workdir / 'run.flags'}", f"--workdir={tmp_path}")
    assert again.returncode == 0, again.stderr
    with np.load(workdir / "components.npz") as first, np.load(tmp_path / "components.npz") as second:
        assert set(first.files) == set(second.files)
        for name in first.files:
            np.testing.assert_array_equal(first[name], second[name])


def test_visualize_draws_components_random_directions_and_animations(workdir, tmp_path):
    result = run(
        "visualize", f"--components={workdir / 'components.npz'}", "--num_rows=2", "--seeds=1", "--animate=webp",
        f"--named={workdir / 'components.npz'}", f"--workdir={tmp_path}",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    names = {p.name for p in tmp_path.iterdir()}
    assert names >= {"components.png", "components_seed1.png", "random.png", "random_seed1.png", "component00.webp"}
    components, random = (np.asarray(Image.open(tmp_path / f"{n}.png")) for n in ("components", "random"))
    assert components.std() > 10 and not np.array_equal(components[: len(random), -100:], random[:, -100:])
    rows = components[42:-6, -100:-6]  # between the labels of the columns and the margin
    assert len(components) == len(random) + 128 and len(rows) == 256
    np.testing.assert_array_equal(rows[:128], rows[128:])  # the same file is drawn twice
    with Image.open(tmp_path / "component01.webp") as animation:
        assert animation.n_frames == 48
    assert "--animate=webp\n" in (tmp_path / "visualize.flags").read_text()


def test_an_animation_that_is_not_possible_is_refused_in_one_line(workdir, tmp_path, monkeypatch):
    command = ["visualize", f"--components={workdir / 'components.npz'}", f"--workdir={tmp_path / 'new'}"]
    monkeypatch.setenv("PATH", str(tmp_path))
    for form, told in (("avi", "must be webp, gif or mp4"), ("mp4", "--animate=mp4: ffmpeg is not installed")):
        result = run(*command, f"--animate={form}")
        assert result.returncode != 0 and told in result.stderr and not (tmp_path / "new").exists()


@pytest.mark.parametrize(("given", "names"), [("--animate=True", ["component00.gif"]), ("--noanimate", [])])
def test_animate_is_still_a_boolean_flag(workdir, tmp_path, given, names):
    """Flagfiles of earlier runs have True or False."""
    command = ["visualize", f"--components={workdir / 'components.npz'}", "--num_rows=1", f"--workdir={tmp_path}"]
    result = run(*command, given)
    assert result.returncode == 0, result.stderr
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith("component0")] == names


def test_edit_draws_strips(workdir, tmp_path):
    result = run(
        "edit", f"--components={workdir / 'components.npz'}", "--edit=E(v0, 0-3)=2", "--edit=E(v1)=-1", "--seeds=1,2",
        f"--workdir={tmp_path}",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert np.asarray(Image.open(tmp_path / "edit.png")).std() > 10
    lines = (tmp_path / "run.flags").read_text().splitlines()
    assert [line for line in lines if line.startswith("--edit")] == ["--edit=E(v0, 0-3)=2", "--edit=E(v1)=-1"]
    again = run("edit", f"--flagfile={tmp_path / 'run.flags'}", f"--workdir={tmp_path / 'again'}")
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "again" / "edit.png").read_bytes() == (tmp_path / "edit.png").read_bytes()


def test_a_published_edit_is_drawn_as_published_unless_flags_say_otherwise(tmp_path):
    """An edit's name, its run.flags, and its settings as flags give one picture."""
    made = run("decompose", "--num_samples=500", "--num_components=32", f"--workdir={tmp_path}")
    assert made.returncode == 0, made.stderr
    components = f"--components={tmp_path / 'components.npz'}"
    flags = ("--centred", "--truncation_psi=0.7", "--seeds=740196857")
    runs = {
        "published": (components, "--edit=ganspace:Fluffiness"),
        "again": (f"--flagfile={tmp_path / 'published' / 'run.flags'}",),
        "by hand": (components, "--edit=E(v27, 2-4)=20", *flags),
        "other": (components, "--edit=ganspace:Fluffiness", "--nocentred", "--truncation_psi=1.0", "--seeds=740196857"),
        "other by hand": (components, "--edit=E(v27, 2-4)=20", "--seeds=740196857"),
        "other again": (f"--flagfile={tmp_path / 'other' / 'run.flags'}",),
    }
    said, pictures = {}, {}
    for name, arguments in runs.items():
        result = run("edit", *arguments, "--num_columns=2", f"--workdir={tmp_path / name}")
        assert result.returncode == 0, result.stderr
        said[name] = [line for line in result.stdout.splitlines() if line.startswith("as published: ")]
        pictures[name] = np.asarray(Image.open(tmp_path / name / "edit.png"))
    assert said.pop("published") == ["as published: --centred=True --truncation_psi=0.7 --seeds=740196857"]
    assert not any(said.values())
    for one, other in (
        ("published", "again"),
        ("published", "by hand"),
        ("other", "other again"),
        ("other", "other by hand"),
    ):
        np.testing.assert_array_equal(pictures[one], pictures[other])
    assert (pictures["published"] != pictures["other"]).mean() > 0.01


def test_activations_move_by_a_file_of_the_original(tmp_path):
    """Its name tells the layer: a class with an underscore, and BigGAN's own name."""
    made = run("decompose", "--generator=biggan-deep-scenes", "--layer=generator.gen_z", "--num_components=2",
                f"--workdir={tmp_path}")  # fmt: skip
    assert made.stdout.startswith("layer generator.gen_z: gen_z of this generator\nlayer gen_z, "), made.stderr
    theirs = tmp_path / "biggan-512-red_fox_generator.gen_z_ipca_c2_n1000.npz"
    with np.load(tmp_path / "components.npz") as file:
        keys = set(file.files) - {
            "about",
            components.CHECKSUM,
            "r2",
            "stability",
            "latent_uncertainty",
            "variance_error",
        }
        np.savez(theirs, allow_pickle=False, **{key: file[key] for key in keys})
    pictures = []
    for path in (tmp_path / "components.npz", theirs):
        drawn = run("visualize", "--generator=biggan-deep-scenes", f"--components={path}", "--mode=activation",
                     "--num_rows=1", "--num_columns=2", f"--workdir={tmp_path / path.stem}")  # fmt: skip
        assert drawn.returncode == 0, drawn.stderr
        pictures.append(np.asarray(Image.open(tmp_path / path.stem / "random.png"))[:, -60:])
    assert "layer generator.gen_z: gen_z of this generator" in drawn.stdout
    np.testing.assert_array_equal(*pictures)


def test_rows_of_a_file_are_directions_if_the_generator_has_another_number_of_layers(tmp_path):
    rows = np.random.default_rng(0).standard_normal((8, 64)).astype(np.float32)
    for count, component, message in ((8, 1, "there is no component 1"), (3, 3, "there is no component 3"), (3, 2, "")):
        np.save(tmp_path / "rows.npy", rows[:count])
        result = run(
            "edit", "--generator=stylegan2-scenes", f"--components={tmp_path / 'rows.npy'}",
            f"--edit=E(v{component})=1", "--seeds=1", "--num_columns=2", f"--workdir={tmp_path / 'out'}",
        )  # fmt: skip
        assert (result.returncode == 0) == (not message) and message in result.stderr
    assert "rows.npy: it holds 3 directions, v0 to v2" in result.stdout


def test_an_edit_exported_again_stays_of_its_network_and_component(workdir, tmp_path):
    found = foreign_files.load_components(workdir / "components.npz")
    first = foreign_files.export(found, Edit(4, (0, 3), 2.0), name="tilt", num_layers=8, truncation=1.0, seed=1)
    foreign_files.save_edit(tmp_path / "first.pkl", {**first, "model_name": "StyleGAN2", "output_class": "ffhq"})
    result = run(
        "edit", "--generator=stylegan2-scenes", f"--components={tmp_path / 'first.pkl'}", "--edit=E(v0, 1-4)=3",
        "--seeds=7", "--export=more",
        f"--workdir={tmp_path}",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    again = foreign_files.load_edit(tmp_path / "edit.pkl")
    assert (again["model_name"], again["output_class"], again["component_index"]) == ("StyleGAN2", "ffhq", 4)
    assert (again["name"], again["sigma_range"], again["edit_start"], again["edit_end"]) == ("more", 3.0, 1, 5)


def test_the_layers_of_a_generator_are_listed():
    text = run("decompose", "--generator=biggan-deep-scenes", "--list_layers").stdout
    assert text.startswith("Layers of biggan-deep-scenes; the default is gen_z:\n") and "layers.3 " in text


def test_help_shows_the_flags_that_the_command_uses():
    text = run("visualize", "--help").stdout
    assert "python -m experiments.visualize" in text and "--num_rows" in text
    assert "--num_samples" not in text and "--[no]centred" in text


def test_missing_and_wrong_flags_are_named_together_with_an_example():
    """Without absl's FATAL, and before anything is loaded."""
    example = "; for example: python -m experiments.visualize --components="
    for arguments, message in (
        ((), "--components and --workdir: needed"),
        (("--workdir=x", "stray"), "stray: is no flag; flags begin with --"),
        (("--num_rows=0",), "--num_rows=0: 0 is not a positive integer"),
        (("--colour=1",), "Unknown command line flag 'colour'"),
    ):
        result = run("visualize", *arguments)
        lines = result.stderr.splitlines()
        assert result.returncode == 1 and len(lines) == 1, result.stderr
        assert lines[0].startswith(f"error: {message}") and example in lines[0]


def test_a_command_says_what_it_chose(tmp_path):
    """The flags that were left out, filled for a generator without w."""
    result = run("decompose", "--generator=biggan-deep-scenes", "--num_components=3", f"--workdir={tmp_path}")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("layer gen_z, directions in z, class sphere, estimator analytic\n")
    drawn = run("visualize", f"--components={tmp_path / 'components.npz'}", "--num_rows=1", "--num_columns=2",
                 f"--workdir={tmp_path}")  # fmt: skip
    assert drawn.returncode == 0, drawn.stderr
    assert "rows start from seed 1: z has no mean latent" in drawn.stdout
    assert np.asarray(Image.open(tmp_path / "components.png")).std() > 10


BAD_DECOMPOSITIONS = {
    "generator": (["--generator=stylegan2-scene"], "did you mean 'stylegan2-scenes'"),
    "layer": (["--layer=b9"], "--layer=b9"),
    "no samples": (["--num_samples=0"], "--num_samples=0"),
    "negative components": (["--num_components=-3"], "--num_components=-3"),
    "too many components": (["--num_components=99999"], "--num_components=99999"),
    "too few samples": (["--num_samples=17", "--num_components=20"], "--num_samples=17"),
    "label": (["--label=1"], "--label=1"),
    "too many samples": (["--num_samples=5000000000"], "--num_samples=5000000000: must be from 1 to 2,000,000,000"),
    "a seed that repeats seed 0": (["--seed=4294967296"], "--seed=4294967296: must be from 0 to 4294967295"),
    "truncation": (["--truncation_psi=1e9"], "--truncation_psi=1000000000.0"),
}


@pytest.mark.parametrize("case", BAD_DECOMPOSITIONS)
def test_bad_input_is_one_line_and_leaves_nothing(case, tmp_path):
    arguments, message = BAD_DECOMPOSITIONS[case]
    _check_failure(run("decompose", *arguments, f"--workdir={tmp_path / 'new'}"), message)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("command", ["decompose", "generate", "train_scenes"])
def test_an_empty_workdir_is_refused(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(devices, "use_cpu_devices", lambda count: None)
    _check_failure(run(command, "--workdir="), "--workdir=: is empty; name a directory")
    assert not list(tmp_path.iterdir())


def test_a_flagfile_that_is_no_text_is_one_line(tmp_path):
    (tmp_path / "a.flags").write_bytes(b"\xff\xfe--seed=1\n")
    result = run("decompose", f"--flagfile={tmp_path / 'a.flags'}")
    assert result.returncode == 1 and len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith(f"error: --flagfile={tmp_path / 'a.flags'}: is not UTF-8 text: ")


def test_an_unwritable_workdir_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    _check_failure(run("decompose", f"--workdir={tmp_path / 'file' / 'run'}"), "--workdir=")


@pytest.mark.parametrize("damage", ["missing arrays", "truncated", "wrong shape", "no config"])
def test_damaged_checkpoints_are_named(damage, tmp_path):
    directory = tmp_path / "generator"
    shutil.copytree(MODEL, directory)
    if damage == "missing arrays":
        shutil.rmtree(directory / "arrays")
    elif damage == "no config":
        (directory / "config.json").unlink()
    elif damage == "wrong shape":
        config = json.loads((directory / "config.json").read_text())
        config["channels"][0] += 1
        (directory / "config.json").write_text(json.dumps(config))
    else:
        for path in (directory / "arrays").rglob("*"):
            if path.is_file() and path.stat().st_size > 1000:
                path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    result = run("decompose", f"--generator={directory}", f"--workdir={tmp_path / 'new'}")
    _check_failure(result, str(directory))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ("E(v99)=1", "--edit=E(v99)=1: "),
        ("E(v0)=1e39", "--edit=E(v0)=1e+39: "),
        ("E(v0, 0-99)=1", "--edit=E(v0, 0-99)=1: "),
        ("v3", "--edit=v3: "),
    ],
)
def test_bad_edits_are_named(edit, message, workdir, tmp_path):
    result = run(
        "edit", f"--components={workdir / 'components.npz'}", f"--edit={edit}", f"--workdir={tmp_path / 'new'}"
    )
    _check_failure(result, message)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("effects", "--sigma=0"), "--sigma=0: moves nothing"),
        (("effects", "--sigma=inf"), "--sigma=inf"),
        (("visualize", "--sigma=nan"), "--sigma=nan: must be a number of standard deviations"),
        (("visualize", "--truncation_psi=1e9"), "--truncation_psi=1"),
        (("effects", "--seed=4294967296"), "--seed=4294967296"),
        (("effects", "--num_samples=2000000000"), "--num_samples=2000000000"),
        (("visualize", "--num_columns=1000000"), "--num_columns=1000000"),
        (("visualize", "--seeds=4294967296"), "--seeds=4294967296: must be"),
        (("edit", "--edit=E(v0)=1", "--seeds=1-100000000"), "--seeds=1-100000000: more than 100,000 seeds"),
    ],
)
def test_numbers_beyond_reason_are_refused(workdir, tmp_path, arguments, message):
    result = run(*arguments, f"--components={workdir / 'components.npz'}", f"--workdir={tmp_path / 'new'}")
    _check_failure(result, message)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--channels=a,b",), "--channels=a,b: must be whole numbers from 1 to 4,096"),
        (("--blocks=4-4", "--family=biggan_deep"), "--attention_position=4: must be from 0 to 0"),
        (("--learning_rate=-1",), "--learning_rate=-1.0: must be from 0 to 1"),
        (("--discriminator_channels=8,8",), "--discriminator_channels: 2 numbers; must be one for each size"),
    ],
)
def test_a_training_that_cannot_begin_is_refused(tmp_path, monkeypatch, arguments, message):
    monkeypatch.setattr(devices, "use_cpu_devices", lambda count: None)  # only a new process can change them
    _check_failure(run("train_scenes", *arguments, f"--workdir={tmp_path / 'new'}"), message)
    assert not (tmp_path / "new").exists()


def _check_failure(result, message):
    assert result.returncode != 0
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and message in lines[0], result.stderr
    assert "Traceback" not in result.stderr
