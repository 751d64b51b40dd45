"""The published checkpoints by name: their addresses, their sources and their licences.

A public repository states every address, size and checksum in this catalogue.
`Checkpoint.documented` and `Checkpoint.checksums` name these repositories. No size or
checksum comes from the publisher of the weights. The licence terms are the publisher's.
Conversion does not change them.
"""

from typing import NamedTuple

from ganspace_jax.errors import InputError, nearest
from ganspace_jax.files import tables
from ganspace_jax.generators.published_checksums import BIGGAN_DEEP, NVIDIA, Checksum


class File(NamedTuple):
    """A file of a checkpoint, which each of its addresses serves.

    Attributes:
        name: File name in the cache.
        addresses: Web addresses, in the order in which a download tries them.
        size: Size in bytes, None if no public source states it.
        sha256: SHA-256 in hexadecimal, None if no public source states it.
    """

    name: str
    addresses: tuple[str, ...]
    size: int | None = None
    sha256: str | None = None


class Checkpoint(NamedTuple):
    """A published checkpoint.

    Attributes:
        name: Name in the catalogue, which --source accepts.
        family: Name of the generator family, as in generators/zoo.py.
        resolution: Side of the network's images in pixels. The images of cars
            contain black bars above and below the car.
        files: Files of the checkpoint. Several files make a directory.
        licence: Licence of the weights.
        documented: Repository and file that state the addresses.
        checksums: Repository and file that state sizes and SHA-256, and their
            relation to the publisher. "" if no public source states any.
    """

    name: str
    family: str
    resolution: int
    files: tuple[File, ...]
    licence: str
    documented: str
    checksums: str = ""


def find(name: str) -> Checkpoint:
    """Returns the checkpoint with a name.

    Raises:
        InputError: The catalogue has no such name. The message suggests similar names.
    """
    if name in CATALOGUE:
        return CATALOGUE[name]
    hint = nearest(name.lower(), CATALOGUE)
    raise InputError(f"--source={name}: no such file, and no such name in the catalogue; {hint}--list shows all names")


def table() -> str:
    """Returns the catalogue as text, with one line per file.

    Only the first line of a checkpoint contains its name. A footnote names the
    sources of sizes and checksums.
    """
    header, rows = ["name", "family", "resolution (px)", "licence", "size (MB)", "SHA-256", "address"], []
    for checkpoint in PUBLISHED:
        first_cells = [checkpoint.name, checkpoint.family, str(checkpoint.resolution), checkpoint.licence]
        for file in checkpoint.files:
            size = f"{file.size / 1e6:.1f}" if file.size else ""
            rows.append([*first_cells, size, "checked" if file.sha256 else "unknown", file.addresses[0]])
            first_cells = [""] * len(first_cells)
    return f"{tables.aligned(header, rows)}\n\n{_footnote()}"


def _footnote() -> str:
    names_by_source: dict[str, list[str]] = {}
    for checkpoint in PUBLISHED:
        if checkpoint.checksums:
            names_by_source.setdefault(checkpoint.checksums, []).append(checkpoint.name)
    return "\n".join(
        [
            "Sizes and SHA-256 checksums do not come from the publishers, but from these repositories:",
            *(f"  {', '.join(names)}: {source}" for source, names in names_by_source.items()),
            f"{_count_unknown()} files cannot be checked, because no known public source states their SHA-256. "
            "A download prints it.",
        ]
    )


def _count_unknown() -> str:
    files = [file for checkpoint in PUBLISHED for file in checkpoint.files]
    return f"{sum(file.sha256 is None for file in files)} of {len(files)}"


def _drive(identifier: str) -> tuple[str, str]:
    """Returns two addresses of a file on Google Drive.

    The second address is the documented one. For a large file it serves a web page,
    and the button on that page leads to the first address.
    """
    return (
        f"https://drive.usercontent.google.com/download?id={identifier}&export=download&confirm=t",
        f"https://drive.google.com/uc?id={identifier}",
    )


def _stylegan(data: str, resolution: int, size: str, identifier: str) -> Checkpoint:
    file = File(f"karras2019stylegan-{data}-{size}.pkl", _drive(identifier))
    documented = "NVlabs/stylegan, README.md"
    return Checkpoint(f"stylegan-{data}", "stylegan", resolution, (file,), "CC BY-NC 4.0", documented)


# The mirror serves the same files. A download from it must have the file's SHA-256.
_MIRROR = "https://github.com/clibdev/stylegan2-pytorch/releases/latest/download"


def _stylegan2(data: str, resolution: int, sha256: str) -> Checkpoint:
    file_name = f"stylegan2-{data}-config-f.pkl"
    addresses = (f"https://nvlabs-fi-cdn.nvidia.com/stylegan2/networks/{file_name}", f"{_MIRROR}/{file_name}")
    return Checkpoint(
        f"stylegan2-{data}",
        "stylegan2",
        resolution,
        (File(file_name, addresses, sha256=sha256),),
        "Nvidia Source Code License-NC",
        "NVlabs/stylegan2, pretrained_networks.py",
        checksums="clibdev/stylegan2-pytorch, README.md (a mirror of these files)",
    )


_NVIDIA = "Nvidia Source Code License, non-commercial"


def _ada(data: str, resolution: int) -> Checkpoint:
    name = f"{data}.pkl"
    address = f"https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/{name}"
    documented = "NVlabs/stylegan2-ada-pytorch, README.md"
    checksum = NVIDIA.get(name, Checksum())
    file = File(name, (address,), checksum.size, checksum.sha256)
    return Checkpoint(
        f"stylegan2-ada-{data}", "stylegan2", resolution, (file,), _NVIDIA, documented, checksum.source
    )  # fmt: skip


def _ngc(name: str, family: str, data: str, resolution: int) -> Checkpoint:
    """Returns a checkpoint from the lists in StyleGAN3's README.

    Args:
        name: Name in the catalogue.
        family: Name of the generator family.
        data: Stem of the file name, without the resolution.
        resolution: Side of the images in pixels.
    """
    file_name = f"{data}-{resolution}x{resolution}.pkl"
    address = f"https://api.ngc.nvidia.com/v2/models/nvidia/research/{family}/versions/1/files/{file_name}"
    checksum = NVIDIA.get(file_name, Checksum())
    file = File(file_name, (address,), checksum.size, checksum.sha256)
    return Checkpoint(name, family, resolution, (file,), _NVIDIA, "NVlabs/stylegan3, README.md", checksum.source)


def _stylegan3(kind: str) -> tuple[Checkpoint, ...]:
    """Returns the checkpoints of StyleGAN3-T or StyleGAN3-R; `kind` is "t" or "r"."""
    stem = f"stylegan3-{kind}"
    return (
        _ngc(f"{stem}-ffhq", "stylegan3", f"{stem}-ffhq", 1024),
        _ngc(f"{stem}-ffhqu", "stylegan3", f"{stem}-ffhqu", 1024),
        _ngc(f"{stem}-ffhqu-256", "stylegan3", f"{stem}-ffhqu", 256),
        _ngc(f"{stem}-metfaces", "stylegan3", f"{stem}-metfaces", 1024),
        _ngc(f"{stem}-metfacesu", "stylegan3", f"{stem}-metfacesu", 1024),
        _ngc(f"{stem}-afhqv2", "stylegan3", f"{stem}-afhqv2", 512),
    )


_BIGGAN = "https://s3.amazonaws.com/models.huggingface.co/biggan"


def _biggan_deep(resolution: int) -> Checkpoint:
    name = f"biggan-deep-{resolution}"
    weights, configuration = BIGGAN_DEEP.get(resolution, (Checksum(), Checksum()))
    files = (
        File("pytorch_model.bin", (f"{_BIGGAN}/{name}-pytorch_model.bin",), weights.size, weights.sha256),
        File("config.json", (f"{_BIGGAN}/{name}-config.json",), configuration.size, configuration.sha256),
    )
    return Checkpoint(
        name,
        "biggan_deep",
        resolution,
        files,
        "MIT for the code; weights by DeepMind",
        "huggingface/pytorch-pretrained-BigGAN, pytorch_pretrained_biggan/model.py",
        checksums=weights.source,
    )


def _progan(data: str, resolution: int, file_name: str) -> Checkpoint:
    """Returns one of netdissect's conversions of Karras's networks.

    The eight hexadecimal digits in the file name may be the start of a SHA-256.
    Because no source confirms this, downloads are not compared with them.
    """
    address = f"https://dissect.csail.mit.edu/models/{file_name}"
    documented = "davidbau/dissect, experiment/setting.py; licence: tkarras/progressive_growing_of_gans, README.md"
    return Checkpoint(
        f"progan-{data}", "progan", resolution, (File(file_name, (address,)),), "CC BY-NC 4.0", documented
    )


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
    *_stylegan3("t"),
    *_stylegan3("r"),
    _biggan_deep(128),
    _biggan_deep(256),
    _biggan_deep(512),
    _progan("bedroom", 256, "proggan_bedroom-d8a89ff1.pth"),
    _progan("churchoutdoor", 256, "proggan_churchoutdoor-7e701dd5.pth"),
    _progan("conferenceroom", 256, "proggan_conferenceroom-21e85882.pth"),
    _progan("diningroom", 256, "proggan_diningroom-3aa0ab80.pth"),
    _progan("kitchen", 256, "proggan_kitchen-67f1e16c.pth"),
    _progan("livingroom", 256, "proggan_livingroom-5ef336dd.pth"),
    _progan("restaurant", 256, "proggan_restaurant-b8578299.pth"),
    _progan("celebahq", 1024, "proggan_celebhq-620d161c.pth"),
)

CATALOGUE: dict[str, Checkpoint] = {checkpoint.name: checkpoint for checkpoint in PUBLISHED}
