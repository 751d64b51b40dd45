"""Writes a report as one HTML page, which needs no other file and no network."""

import base64
import io
import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from ganspace_jax.errors import InputError
from ganspace_jax.shapes import UInt8

_TEMPLATE = pathlib.Path(__file__).with_name("report.html")


class Section(NamedTuple):
    """One question with its answer.

    Attributes:
        name: identifier, which the page's links contain.
        question: heading.
        verdict: one word.
        answer: some sentences.
        figures: pairs (name, number with its interval).
        tables: triples (title, header, rows) of texts.
        pictures: pixels of each picture, by its caption.
        command: command that makes the section again.
    """

    name: str
    question: str
    verdict: str
    answer: str
    figures: Sequence[tuple[str, str]]
    tables: Sequence[tuple[str, Sequence[str], Sequence[Sequence[str]]]]
    pictures: Mapping[str, UInt8[np.ndarray, "h w c"]]
    command: str


def html(title: str, introduction: str, sections: Sequence[Section]) -> str:
    """Returns the page. Texts are escaped, and pictures are inside the page.

    Raises:
        InputError: if jinja2 is not installed.
    """
    try:
        import jinja2
    except ImportError:
        raise InputError("the report needs jinja2: pip install -r requirements-report.txt") from None
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(_TEMPLATE.read_text())
    return template.render(title=title, introduction=introduction, sections=sections, embedded=_embedded)


def _embedded(pixels: UInt8[np.ndarray, "h w c"]) -> str:
    """Returns a picture as the address of an image on the page."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
