"""A report is one page: texts are escaped, pictures are inside, nothing is fetched."""

import base64
import io
import re

import numpy as np
from PIL import Image

from ganspace_jax.files import reports
from ganspace_jax.files.reports import Section

PIXELS = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
SECTION = Section(
    "claim", "Is a < b?", "no", "It is <b>not</b>.", [("share of a & b", "0.5 (0.4 to 0.6)")],
    [("All cases", ["case", "holds"], [["first", "<script>"]])], {"A picture of 'a'": PIXELS}, "python -m x --y=1",
)  # fmt: skip


def test_the_page_holds_all_texts_escaped_and_the_pictures_pixel_for_pixel():
    page = reports.html("Title", "Introduction", [SECTION])
    assert "Is a &lt; b?" in page and "It is &lt;b&gt;not&lt;/b&gt;." in page and "share of a &amp; b" in page
    assert "<script" not in page and "&lt;script&gt;" in page and "python -m x --y=1" in page
    assert 'href="#claim"' in page and 'id="claim"' in page and 'class="verdict no"' in page
    (encoded,) = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded)))), PIXELS)


def test_the_page_names_no_other_address():
    page = reports.html("Title", "Introduction", [SECTION])
    assert "default-src 'none'" in page and not re.search(r"https?:|//[a-z]|@import|url\(", page)
