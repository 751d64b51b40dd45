"""The sizes and SHA-256 of published checkpoints that public repositories state.

No publisher states any. The checksums of StyleGAN2's original networks are in
catalogue.py.
"""

from typing import NamedTuple


class Checksum(NamedTuple):
    """Size, SHA-256, and the repository and file that state them."""

    size: int | None = None
    sha256: str | None = None
    source: str = ""


# File name -> checksum.
NVIDIA = {
    # adrianwedd/latent-self, scripts/setup.py, states the same SHA-256.
    "ffhq.pkl": Checksum(
        381_624_121,
        "a205a346e86a9ddaae702e118097d014b7b8bd719491396a162cca438f2f524c",
        "Twixes/thispriestdoesnotexist, research/models/ffhq1024.provenance.json (a project that downloaded it)",
    ),
    # The file runpod_pipeline.sh in the same folder states the same SHA-256.
    "cifar10.pkl": Checksum(
        None,
        "f8952c74e23da2186d147ad871c48780bd59500ee37c301201081ee8e0cb32f1",
        "Dronmong/drifting-identifiability, numerics/encoder_independent_drifting/stage_cap2/positive_control.py "
        "(a project that downloaded it)",
    ),
    "stylegan3-t-ffhq-1024x1024.pkl": Checksum(
        294_775_112,
        "efd9fa1f967a11b5390399a8ed512dc32e341c245fa2d4dafa6d94e96222085b",
        "Twixes/thispriestdoesnotexist, research/models/stylegan3-t-ffhq1024/download.py (a project that downloaded it)",
    ),
    # The pointer's name is that of another network. Two other public files state the
    # same SHA-256 under NVIDIA's name, one of them with the address and the size.
    "stylegan3-r-ffhq-1024x1024.pkl": Checksum(
        237_040_112,
        "ffe2233fa0d0329ad9f19b8bf8ea855d12210461c118ff52fbffde8d3a2b4519",
        "aliprf/GANalyzer, ffhq.pkl (a Git LFS pointer to this file under another name)",
    ),
}

_UNCANNY_LAB = "miloszkolber/uncanny_lab, modelinstall/catalog.go (the Go code of an unrelated program)"

# Resolution -> checksums of the weights and of the configuration.
BIGGAN_DEEP = {
    256: (
        Checksum(234_411_737, "5900ef4065047e3aa0d1b66197b7f2664dceb59b27080e414ad57e203c485bc5", _UNCANNY_LAB),
        Checksum(715, "edd106f65ff28ee1638491a978cfa6bc50dfa0344aab70749a7b8eb08bbec677", _UNCANNY_LAB),
    ),
}
