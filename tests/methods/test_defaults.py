"""The defaults: a generator of every family is decomposed and drawn with nothing named
but the generator.
"""

import jax
import numpy as np
import pytest

from ganspace_jax.directions import edited_images
from ganspace_jax.directions.edited_images import View
from ganspace_jax.generators import base, biggan, biggan_deep, dcgan, progan, stylegan, stylegan2, stylegan3
from ganspace_jax.methods import decomposition
from ganspace_jax.methods.decomposition import Decomposition

NETWORKS = {
    "stylegan": lambda key: stylegan.StyleGAN(stylegan.Config(4, 4, (4, 3), mapping_layers=1), key=key),
    "stylegan2": lambda key: stylegan2.StyleGAN2(stylegan2.Config(4, 4, (4, 3), mapping_layers=1), key=key),
    "stylegan2, classes": lambda key: stylegan2.StyleGAN2(
        stylegan2.Config(4, 4, (4, 3), mapping_layers=1, num_classes=3), key=key
    ),
    "stylegan3": lambda key: stylegan3.StyleGAN3(
        stylegan3.Config(4, 4, 16, num_layers=2, num_critical=1, channel_base=64, channel_max=4), key=key
    ),
    "biggan": lambda key: biggan.BigGAN(biggan.Config(4, 3, ((True, 4, 2),), embed_width=2), key=key),
    "biggan_deep": lambda key: biggan_deep.BigGANDeep(
        biggan_deep.Config(5, 3, 4, ((True, 2, 2),), attention_position=-1, embed_width=2, num_statistics=3), key=key
    ),
    "progan": lambda key: progan.ProGAN(progan.Config(4, (4, 3)), key=key),
    "dcgan": lambda key: dcgan.DCGAN(dcgan.Config(4, (6, 3)), key=key),
    "dcgan, classes": lambda key: dcgan.DCGAN(dcgan.Config(4, (6, 3), num_classes=2), key=key),
}
CHOSEN = {
    "stylegan": "layer w, directions in w, estimator exact",
    "stylegan2": "layer w, directions in w, estimator exact",
    "stylegan2, classes": "layer w, directions in w, class 0, estimator exact",
    "stylegan3": "layer w, directions in w, estimator exact",
    "biggan": "layer linear, directions in z, class 0, estimator analytic",
    "biggan_deep": "layer gen_z, directions in z, class 0, estimator analytic",
    "progan": "layer layer1, directions in z, estimator exact",
    "dcgan": "layer main.0, directions in z, estimator analytic",
    "dcgan, classes": "layer main.0, directions in z, class 0, estimator analytic",
}


@pytest.mark.parametrize("family", NETWORKS)
def test_a_family_is_decomposed_and_drawn(family):
    generator = base.split(NETWORKS[family](jax.random.key(0)))
    spec = decomposition.resolve(Decomposition(num_samples=64, num_components=2), generator)
    assert decomposition.describe(spec, generator) == CHOSEN[family]
    found = decomposition.decompose(generator, spec)
    found, view = edited_images.resolve(found, View(), generator)
    start = edited_images.default_start(generator, found, view.synthesis)
    assert start.name == ("mean latent" if generator.has_mapping else "seed 1")
    rows = edited_images.component_rows(generator, found, start, [0, 1], [-2.0, 2.0], view)
    assert rows.shape[:2] == (2, 2) and np.isfinite(rows).all()
    assert np.abs(rows[:, 0] - rows[:, 1]).max() > 1e-6
