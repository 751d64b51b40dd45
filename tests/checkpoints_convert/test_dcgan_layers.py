"""DCGANs under any names: the same network converts alike, and other networks are left
alone.
"""

import itertools
import re

import jax
import numpy as np
import pytest

from checkpoints_convert import dcgan_layers, dcgan_pytorch, formats
from ganspace_jax.errors import InputError
from tests.dcgan_files import drawn

WIDTHS = (5, 4, 4, 2, 3)

# Names of convolutions 0, 1, 2, 3 and of batch norms 0, 1, 2.
NAMES = {
    "no prefix": (("0", "3", "6", "9"), ("1", "4", "7")),
    "blocks": (("gen.0.0", "gen.1.0", "gen.2.0", "gen.3.0"), ("gen.0.1", "gen.1.1", "gen.2.1")),
    "last layer without a block": (("net.0.0", "net.1.0", "net.2.0", "net.3"), ("net.0.1", "net.1.1", "net.2.1")),
    "gaps of dropout": (("main.0", "main.4", "main.8", "main.12"), ("main.1", "main.5", "main.9")),
    "two digits": (("l8.c", "l9.c", "l10.c", "l11.c"), ("l8.n", "l9.n", "l10.n")),
    "attributes": (
        ("convTr1", "convTr2", "convTr3", "convTr4"), ("batchNorm1", "batchNorm2", "batchNorm3"),
    ),
    "endings": (("deconv1", "deconv2", "deconv3", "deconv4"), ("deconv1_bn", "deconv2_bn", "deconv3_bn")),
    "other numbers": (("G.up1", "G.up2", "G.up3", "G.up4"), ("G.bn0", "G.bn1", "G.bn2")),
    "words around": (("first.0", "up.0.0", "up.1.0", "last"), ("first.1", "up.0.1", "up.1.1")),
    "channels in the names": (
        ("initial:5-4:convt", "pyramid:4-4:convt", "pyramid:4-2:convt", "final:2-3:convt"),
        ("initial:4:batchnorm", "pyramid:4:batchnorm", "pyramid:2:batchnorm"),
    ),
    "wrapped": (
        ("module.a.main.0", "module.a.main.3", "module.a.main.6", "module.a.main.9"),
        ("module.a.main.1", "module.a.main.4", "module.a.main.7"),
    ),
}  # fmt: skip


def _named(state, convolutions, norms):
    """A state dict of the tutorial's names under these names, in the same order."""
    modules = {f"main.{3 * i}": name for i, name in enumerate(convolutions)}
    modules |= {f"main.{3 * i + 1}": name for i, name in enumerate(norms)}
    return {f"{modules[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}": array for name, array in state.items()}


@pytest.fixture(scope="module")
def tutorial():
    state = drawn(WIDTHS)
    return state, dcgan_pytorch.convert(state)


@pytest.mark.parametrize("names", NAMES)
def test_names_make_no_difference(tutorial, names):
    state, expected = tutorial
    renamed = _named(state, *NAMES[names])
    assert [one.name for one in formats.FORMATS if one.matches(renamed)] == ["dcgan"]
    found = dcgan_pytorch.convert(renamed)
    assert found.definition == expected.definition
    jax.tree.map(np.testing.assert_array_equal, found.params, expected.params)


@pytest.mark.parametrize("names", ["no prefix", "blocks", "two digits", "attributes", "endings"])
def test_numbers_order_the_layers_wherever_the_file_has_them(tutorial, names):
    state, expected = tutorial
    renamed = _named(state, *NAMES[names])
    shuffled = dict(np.random.default_rng(3).permutation(np.array(list(renamed.items()), object)))
    assert list(shuffled) != list(renamed) and dcgan_layers.is_generator(shuffled)
    jax.tree.map(np.testing.assert_array_equal, dcgan_pytorch.convert(shuffled).params, expected.params)


def test_attributes_in_groups_are_paired_by_their_numbers(tutorial):
    """A module that makes all its convolutions first, and then all its batch norms."""
    state, expected = tutorial
    renamed = _named(state, *NAMES["attributes"])
    grouped = dict(sorted(renamed.items(), key=lambda item: item[0].startswith("batchNorm")))
    jax.tree.map(np.testing.assert_array_equal, dcgan_pytorch.convert(grouped).params, expected.params)


def _plain(widths, norms):
    """A network of plain convolutions [out, in, 4, 4] with batch norms after the layers
    of these indices.
    """
    state = {}
    for i, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
        state[f"main.{3 * i}.weight"] = np.ones((outputs, inputs, 4, 4), np.float32)
        if i in norms:
            leaves = ("weight", "bias", "running_mean", "running_var")
            state |= {f"main.{3 * i + 1}.{leaf}": np.ones(outputs, np.float32) for leaf in leaves}
    return state


OTHERS = {
    "discriminator": _plain((3, 4, 8, 16, 1), (1, 2)),
    "discriminator with a batch norm after each convolution": _plain((3, 4, 8, 1), (0, 1)),
    "discriminator of one width": _plain((3, 4, 4, 4, 4, 4, 1), (1, 2, 3, 4)),
    "shallow discriminator": _plain((3, 4, 1), (0,)),
    "encoder": _plain((3, 4, 8, 16, 10), (0, 1, 2)),
    "encoder and decoder": {
        **_plain((3, 4, 8), (0, 1)), **{f"z{name}": array for name, array in drawn((8, 4, 3)).items()}
    },
    "U-Net": {
        **{f"down.{name}": array for name, array in _plain((3, 4, 8, 16), (1, 2)).items()},
        "up.0.weight": np.ones((16, 8, 4, 4)), "up.1.weight": np.ones((16, 4, 4, 4)), "up.2.weight": np.ones((8, 3, 4, 4)),
    },
    "network with a dense layer": {"fc.weight": np.ones((64, 10)), **drawn((4, 4, 3))},
    "convolutions without batch norms": _plain((3, 4, 5), ()),
    "one convolution": _plain((4, 4), (0,)),
    "batch norms alone": {"1.running_mean": np.ones(3), "1.running_var": np.ones(3)},
    "nothing": {},
}  # fmt: skip


@pytest.mark.parametrize("kind", OTHERS)
def test_other_networks_are_not_taken_for_a_dcgan(kind):
    assert not dcgan_layers.is_generator(OTHERS[kind])


@pytest.mark.parametrize("kind", [kind for kind in OTHERS if "coder" in kind or "disc" in kind])
def test_words_for_names_do_not_turn_another_network_round(kind):
    """Without numbers the channels of a discriminator fit in the reverse of the file's
    order.
    """
    letters = "qwertyuiopasdfgh"
    renamed = {re.sub(r"\d+", lambda m: letters[int(m[0])], name): array for name, array in OTHERS[kind].items()}
    assert not dcgan_layers.is_generator(renamed)
    with pytest.raises(InputError):
        dcgan_pytorch.convert(renamed)


def _moved(state, old, new):
    return {name.replace(old, new) if name.startswith(old) else name: array for name, array in state.items()}


def test_what_does_not_continue_the_chain_is_named(tutorial):
    state = tutorial[0]

    def refused(changed, message):
        assert dcgan_layers.is_generator(changed)
        with pytest.raises(InputError, match=message) as failure:
            dcgan_pytorch.convert(changed)
        assert "\n" not in str(failure.value)

    wide = np.zeros((3, 2, 4, 4), np.float32)
    refused(
        {**state, "main.6.weight": wide}, r"main\.6\.weight: is for 3 channels, but main\.4\.running_mean .* makes 4"
    )
    refused({**state, "main.3.weight": np.zeros((4, 4, 5, 5))}, r"main\.3\.weight: has a 5x5 kernel; only .* 4x4")
    refused(
        {**state, "main.4.running_mean": np.zeros(5)}, r"main\.4\.running_mean: is for 5 channels, but main\.3\.weight"
    )
    refused({k: v for k, v in state.items() if "main.4" not in k}, "has 4 convolutions and 2 batch norms")
    refused({**state, "main.10.running_mean": np.zeros(3)}, "has 4 convolutions and 4 batch norms")
    refused({k: v for k, v in state.items() if k != "main.4.bias"}, r"parameter main\.4\.bias: missing")
    refused({**state, "main.99.weight": np.zeros(3)}, r"parameter main\.99\.weight: nothing")
    refused({**state, "main.1.bias": np.zeros(9)}, r"parameter main\.1\.bias: has shape \(9,\) as main_1\.bias")
    early = _moved(_moved(state, "main.3.", "main.5."), "main.4.", "main.3.")
    refused(early, r"main\.3\.running_mean: is numbered before main\.5\.weight")
    with pytest.raises(InputError, match="has 17 convolutions; networks with 2 to 16 convert"):
        dcgan_pytorch.convert({f"{3 * i}.weight": np.zeros((1, 1, 4, 4)) for i in range(17)})


def test_layers_that_could_change_places_need_numbers():
    """Two convolutions of one shape, and two batch norms of one size, under words
    alone.
    """
    state = drawn((4, 4, 4, 3))
    words = _named(state, ("early", "late", "out"), ("early_bn", "late_bn"))
    with pytest.raises(InputError, match=r"late\.weight: has the shape of early\.weight, and no number in the names"):
        dcgan_pytorch.convert(words)
    state = drawn((5, 4, 4, 3))
    expected = dcgan_pytorch.convert(state)
    found = dcgan_pytorch.convert(_named(state, ("a.conv", "b.conv", "c.conv"), ("a.norm", "b.norm")))
    jax.tree.map(np.testing.assert_array_equal, found.params, expected.params)
    with pytest.raises(InputError, match=r"right\.running_mean: has the shape of left\.running_mean, and no number"):
        dcgan_pytorch.convert(_named(state, ("a", "b", "c"), ("left", "right")))


def test_long_numbers_in_names_are_harmless():
    long = "9" * 400
    state = {f"{long}{name}": array for name, array in drawn((5, 4, 3)).items()}
    assert dcgan_layers.is_generator(state)
    assert dcgan_layers.find(state)[0] == dcgan_layers.Layer(f"{long}main.0", f"{long}main.1")


@pytest.mark.parametrize("extra", [["a1" * 190 + ".bias"], [f"{index}.bias" for index in range(600)]])
def test_hostile_numbers_of_words_or_arrays_are_no_generator(extra, monkeypatch):
    """The order of names stores each beginning of each name, so it is never computed
    for such names.
    """
    state = drawn((5, 4, 3))
    assert dcgan_layers.is_generator(state)
    monkeypatch.setattr(dcgan_layers, "_by_name", None)
    assert not dcgan_layers.is_generator({**state, **dict.fromkeys(extra, np.ones(3, np.float32))})


def test_a_generator_is_not_compared_with_very_many_modules():
    modules = [f"discriminator_{index}" for index in range(1000)]
    assert dcgan_layers.is_generator_name("generator", {"generator", *modules[:10]})
    assert not dcgan_layers.is_generator_name("generator", {"generator", *modules})
