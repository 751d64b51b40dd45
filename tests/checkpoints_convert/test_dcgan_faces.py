"""The README's real weights: a DCGAN trained on faces, fetched from the package index,
or skipped where there is none.
"""

import subprocess
import sys
import zipfile

import numpy as np
import pytest

from checkpoints_convert import formats
from tests import calls

PACKAGE = "gan-face-generate==1.1.1"


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    directory = tmp_path_factory.mktemp("wheel")
    command = ["pip", "download", "--quiet", "--no-deps", "--retries=1", "--timeout=20", "-d", directory, PACKAGE]
    fetched = subprocess.run([sys.executable, "-m", *map(str, command)], capture_output=True, text=True)
    if fetched.returncode:
        pytest.skip(f"{PACKAGE} cannot be fetched here: {fetched.stderr.strip().splitlines()[-1]}")
    with zipfile.ZipFile(next(directory.glob("*.whl"))) as wheel:
        path = wheel.extract("gan_face_generate/weights.tar", directory)
    found, network = formats.recognize(formats.read(path))
    assert found.name == "dcgan"
    return formats.convert(found, network, {}, path)


def test_the_first_layer_has_the_components_of_trained_weights(faces):
    """Random weights of this shape spread the variance evenly over 100 directions;
    these put 86 % of it into 40.
    """
    analytic = calls.decompose(faces, layer="main.0", latent_space="z", num_components=40, estimator="analytic")
    assert faces.merge().config.resolution == 64
    assert np.sum(analytic.variance_ratio) == pytest.approx(0.86, abs=0.01)
    assert analytic.variance_ratio[0] == pytest.approx(0.144, abs=0.002)
    np.testing.assert_allclose(analytic.r2, 1.0, atol=1e-6)


def test_sampling_finds_what_the_weights_say(faces):
    settings = dict(layer="main.0", latent_space="z", num_components=4)
    analytic = calls.decompose(faces, estimator="analytic", **settings)
    sampled = calls.decompose(faces, num_samples=4000, memory_gb=0.1, **settings)
    rows = [one.activation_components.reshape(4, -1) for one in (analytic, sampled)]
    assert np.linalg.svd(rows[0] @ rows[1].T, compute_uv=False).min() > 0.98
    np.testing.assert_allclose(sampled.activation_stdevs, analytic.activation_stdevs, rtol=0.05)
    cosines = np.abs(np.sum(analytic.latent_components * sampled.latent_components, axis=1))
    assert cosines[0] > 0.98
