"""One small explorer for the tests of a module, and a way to open others."""

import json
import math
import pathlib

import numpy as np
import pytest

from experiments.explorer import keeping, sources
from experiments.explorer.explorer import Explorer
from experiments.explorer.exporting import Origins
from experiments.explorer.keeping import Shelf
from experiments.explorer.rendering import Renderer
from ganspace_jax.directions import components as components_file
from ganspace_jax.directions import foreign_arrays, foreign_files, random_directions
from ganspace_jax.directions.sources import Source
from ganspace_jax.generators import base, zoo
from ganspace_jax.sampling.layers import LayerSpec

_COUNT = 4  # directions of a file


class Page:
    """Sends messages to an explorer as a page does."""

    def __init__(self, explorer):
        self.explorer = explorer

    def __call__(self, kind, payload=b"", **entries):
        """Returns the answer, which must be without an error, and its payload."""
        answer, data = self.ask(kind, payload, **entries)
        assert "error" not in answer, answer
        return answer, data

    def ask(self, kind, payload=b"", **entries):
        """Returns the answer, also one with an error, and its payload."""
        content = json.loads(json.dumps({"id": 1, "kind": kind, **entries}))
        answer, data = self.explorer.handle(content, payload)
        json.dumps(answer, allow_nan=False)
        assert "fault" not in answer, answer
        return answer, data


def make_components(path, name="stylegan2-scenes", layer=None, label=None, named=()):
    """Writes a components file of four random directions, and returns its path."""
    generator, random = zoo.load(name), np.random.default_rng(0)
    latent = random_directions.unit_rows(_COUNT, generator.latent_size, 7).astype(np.float32)
    shape = base.activation_shapes(generator)[layer] if layer else latent.shape[1:]
    activation = random.standard_normal((_COUNT, *shape)).astype(np.float32) / math.prod(shape) ** 0.5
    stdevs = np.linspace(2.0, 1.0, _COUNT, dtype=np.float32)
    made = foreign_arrays.with_unknowns(
        activation_components=activation if layer else latent,
        activation_mean=np.full(shape, 0.1, np.float32),
        activation_stdevs=stdevs * 4 if layer else stdevs,
        latent_components=latent,
        latent_mean=np.full(latent.shape[1:], 0.1, np.float32),
        latent_stdevs=stdevs,
        spec=LayerSpec(layer or generator.latent_space, generator.latent_space, label),
        source=Source(name, zoo.fingerprint(generator)),
        named=named,
        r2=np.array([1.0, 0.9, 0.2, np.nan], np.float32),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    components_file.save(path, made)
    return path


def open_explorer(workdir, paths, name="stylegan2-scenes", own=None):
    """Returns an explorer of components files."""
    generator = zoo.load(name)
    files = [(str(path), foreign_files.load_components(path)) for path in paths]
    main = files[0][1]
    parts = [sources.main_source(main, "Directions"), *sources.file_sources(files[1:]), sources.random_source(main)]
    kept, _ = keeping.read_folder(workdir / "kept")
    found = keeping.with_unknown(kept, parts, generator)
    placed = [keeping.placed(one, found) for one in kept]
    origins = Origins(name, str(paths[0]), None, pathlib.Path(workdir))
    return Explorer(Renderer(generator, found, own or {}), origins, Shelf(workdir / "kept", placed))


@pytest.fixture(scope="module")
def components_path(tmp_path_factory):
    return make_components(tmp_path_factory.mktemp("files") / "components.npz")


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return tmp_path_factory.mktemp("workdir")


@pytest.fixture(scope="module")
def page(workdir, components_path):
    explorer = open_explorer(workdir, [components_path])
    yield Page(explorer)
    explorer.stop()
