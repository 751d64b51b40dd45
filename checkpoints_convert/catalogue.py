"""The published checkpoints by name: where each lies, who says so, and under what terms.

No address, size or checksum is here that a public repository does not state; `documented` names the repository. The terms are
those of whoever published the weights, and stay theirs.
"""

import difflib
from typing import NamedTuple

from ganspace_jax.errors import InputError


class File(NamedTuple):
    """One file, at any of its addresses; size in bytes and sha256 are None where no public source states them."""

    name: str
    addresses: tuple[str, ...]
    size: int | None = None
    sha256: str | None = None


class Checkpoint(NamedTuple):
    """family is the zoo's; resolution is the network's (the cars have black bars above and below in it)."""

    name: str
    family: str
    resolution: int
    files: tuple[File, ...]
    licence: str
    documented: str


def find(name: str) -> Checkpoint:
    """The checkpoint of a name; raises InputError with the nearest names."""
    if name in CATALOGUE:
        return CATALOGUE[name]
    near = difflib.get_close_matches(name, CATALOGUE, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise InputError(f"--source={name}: no such file, and no such name in the catalogue; {hint}--list shows all names")


def table() -> str:
    """The catalogue for reading: a line a file, names only on the first of a checkpoint."""
    rows = [["name", "family", "px", "licence", "MB", "address"]]
    for one in PUBLISHED:
        about = [one.name, one.family, str(one.resolution), one.licence]
        for file in one.files:
            rows.append([*about, f"{file.size / 1e6:.1f}" if file.size else "", file.addresses[0]])
            about = [""] * len(about)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _drive(identifier: str) -> tuple[str, str]:
    """Google Drive. For large files the documented address answers with a page whose button leads to the first one here."""
    return (
        f"https://drive.usercontent.google.com/download?id={identifier}&export=download&confirm=t",
        f"https://drive.google.com/uc?id={identifier}",
    )


def _stylegan(data: str, resolution: int, size: str, identifier: str) -> Checkpoint:
    file = File(f"karras2019stylegan-{data}-{size}.pkl", _drive(identifier))
    documented = "NVlabs/stylegan, README.md"
    return Checkpoint(f"stylegan-{data}", "stylegan", resolution, (file,), "CC BY-NC 4.0", documented)


_MIRROR = (
    "https://github.com/clibdev/stylegan2-pytorch/releases/latest/download"  # the same files, held to their sha256
)


def _stylegan2(data: str, resolution: int, sha256: str) -> Checkpoint:
    name = f"stylegan2-{data}-config-f.pkl"
    addresses = (f"https://nvlabs-fi-cdn.nvidia.com/stylegan2/networks/{name}", f"{_MIRROR}/{name}")
    file = File(name, addresses, sha256=sha256)
    documented = "NVlabs/stylegan2, pretrained_networks.py; sha256: clibdev/stylegan2-pytorch, README.md"
    return Checkpoint(
        f"stylegan2-{data}", "stylegan2", resolution, (file,), "Nvidia Source Code License-NC", documented
    )


_NVIDIA = "Nvidia Source Code License, non-commercial"


def _ada(data: str, resolution: int) -> Checkpoint:
    address = f"https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/{data}.pkl"
    file = File(f"{data}.pkl", (address,))
    documented = "NVlabs/stylegan2-ada-pytorch, README.md"
    return Checkpoint(f"stylegan2-ada-{data}", "stylegan2", resolution, (file,), _NVIDIA, documented)


def _ngc(name: str, family: str, data: str, resolution: int) -> Checkpoint:
    """Of the lists in StyleGAN3's README; `data` is as the files are called."""
    file = f"{data}-{resolution}x{resolution}.pkl"
    address = f"https://api.ngc.nvidia.com/v2/models/nvidia/research/{family}/versions/1/files/{file}"
    return Checkpoint(name, family, resolution, (File(file, (address,)),), _NVIDIA, "NVlabs/stylegan3, README.md")


_BIGGAN = "https://s3.amazonaws.com/models.huggingface.co/biggan"
_BIGGAN_CHECKED = {  # size and sha256 of weights and configuration, from miloszkolber/uncanny_lab, modelinstall/catalog.go
    256: (
        (234_411_737, "5900ef4065047e3aa0d1b66197b7f2664dceb59b27080e414ad57e203c485bc5"),
        (715, "edd106f65ff28ee1638491a978cfa6bc50dfa0344aab70749a7b8eb08bbec677"),
    ),
}


def _biggan_deep(resolution: int) -> Checkpoint:
    name = f"biggan-deep-{resolution}"
    weights, configuration = _BIGGAN_CHECKED.get(resolution, ((None, None), (None, None)))
    files = (
        File("pytorch_model.bin", (f"{_BIGGAN}/{name}-pytorch_model.bin",), *weights),
        File("config.json", (f"{_BIGGAN}/{name}-config.json",), *configuration),
    )
    documented = "huggingface/pytorch-pretrained-BigGAN, pytorch_pretrained_biggan/model.py"
    return Checkpoint(name, "biggan_deep", resolution, files, "MIT for the code; weights by DeepMind", documented)


def _progan(data: str, resolution: int, file: str) -> Checkpoint:
    """Netdissect's conversions of Karras's networks. The eight digits look like a sha256's, but nothing says so."""
    address = f"https://dissect.csail.mit.edu/models/{file}"
    documented = "davidbau/dissect, experiment/setting.py; licence: tkarras/progressive_growing_of_gans, README.md"
    return Checkpoint(f"progan-{data}", "progan", resolution, (File(file, (address,)),), "CC BY-NC 4.0", documented)


def _ganspace(family: str, data: str, resolution: int, identifier: str) -> Checkpoint:
    file = File(f"{family}_{data}_{resolution}.pt", _drive(identifier))
    documented = "harskish/ganspace, models/wrappers.py"
    return Checkpoint(f"{family}-{data}", family, resolution, (file,), "not stated", documented)


PUBLISHED: tuple[Checkpoint, ...] = (
    _stylegan("ffhq", 1024, "1024x1024", "1MEGjdvVpUsu1jB4zrXZN7Y4kBBOzizDQ"),
    _stylegan("celebahq", 1024, "1024x1024", "1MGqJl28pN4t7SAtSrPdSRJSQJqahkzUf"),
    _stylegan("bedrooms", 256, "256x256", "1MOSKeGF0FJcivpBI7s63V9YHloUTORiF"),
    _stylegan("cars", 512, "512x384", "1MJ6iCfNtMIRicihwRorsM3b7mmtmK9c3"),
    _stylegan("cats", 256, "256x256", "1MQywl0FNt6lHu8E_EUqnRbviagS7fbiJ"),
    _ganspace("stylegan", "wikiart", 512, "1fN3noa7Rsl9slrDXsgZVDsYFxV0O08Vx"),
    _stylegan2("ffhq", 1024, "adf127ea7bb8a7788c8bdeda3c9937f7310b669b09ecf799ca53a631ff46948d"),
    _stylegan2("car", 512, "e1618eee2b3ce87c4a3849442f7850ef12a478556bff035c8e09ee7e23b3794c"),
    _stylegan2("cat", 256, "08940fd616cfaf6bc7b0286b5d1a0b3f70febb26e136d64716c8d3f5e9bd3883"),
    _stylegan2("church", 256, "4090c5f83b44b83475c84864188aa39a0fb72694492302b7e6af36aad0d18104"),
    _stylegan2("horse", 256, "cbc73372c7d82d095913ca8b4b9f170560777175bd7c3b8a75dd55d70807f32b"),
    _ganspace("stylegan2", "bedrooms", 256, "1nZTW7mjazs-qPhkmbsOLLA_6qws-eNQu"),
    _ganspace("stylegan2", "kitchen", 256, "15dCpnZ1YLAnETAPB0FGmXwdBclbwMEkZ"),
    _ganspace("stylegan2", "places", 256, "1X8-wIH3aYKjgDZt4KMOtQzN1m4AlCVhm"),
    _ada("ffhq", 1024),
    _ada("metfaces", 1024),
    _ada("afhqcat", 512),
    _ada("afhqdog", 512),
    _ada("afhqwild", 512),
    _ada("brecahad", 512),
    _ada("cifar10", 32),
    _ngc("stylegan2-ffhq-512", "stylegan2", "stylegan2-ffhq", 512),
    _ngc("stylegan2-ffhq-256", "stylegan2", "stylegan2-ffhq", 256),
    _ngc("stylegan2-ffhqu-1024", "stylegan2", "stylegan2-ffhqu", 1024),
    _ngc("stylegan2-ffhqu-256", "stylegan2", "stylegan2-ffhqu", 256),
    _ngc("stylegan2-metfacesu", "stylegan2", "stylegan2-metfacesu", 1024),
    _ngc("stylegan2-afhqv2", "stylegan2", "stylegan2-afhqv2", 512),
    _ngc("stylegan2-celebahq", "stylegan2", "stylegan2-celebahq", 256),
    _ngc("stylegan2-lsundog", "stylegan2", "stylegan2-lsundog", 256),
    *(
        _ngc(f"stylegan3-{kind}-{name}", "stylegan3", f"stylegan3-{kind}-{data}", resolution)
        for kind in ("t", "r")
        for name, data, resolution in (
            ("ffhq", "ffhq", 1024),
            ("ffhqu", "ffhqu", 1024),
            ("ffhqu-256", "ffhqu", 256),
            ("metfaces", "metfaces", 1024),
            ("metfacesu", "metfacesu", 1024),
            ("afhqv2", "afhqv2", 512),
        )
    ),
    *(_biggan_deep(resolution) for resolution in (128, 256, 512)),
    _progan("bedroom", 256, "proggan_bedroom-d8a89ff1.pth"),
    _progan("churchoutdoor", 256, "proggan_churchoutdoor-7e701dd5.pth"),
    _progan("conferenceroom", 256, "proggan_conferenceroom-21e85882.pth"),
    _progan("diningroom", 256, "proggan_diningroom-3aa0ab80.pth"),
    _progan("kitchen", 256, "proggan_kitchen-67f1e16c.pth"),
    _progan("livingroom", 256, "proggan_livingroom-5ef336dd.pth"),
    _progan("restaurant", 256, "proggan_restaurant-b8578299.pth"),
    _progan("celebahq", 1024, "proggan_celebhq-620d161c.pth"),
)

CATALOGUE: dict[str, Checkpoint] = {one.name: one for one in PUBLISHED}
