"""Recognizes web pages, which servers send in place of files.

The tags show a page, because servers send pages in many encodings. A page may also
contain characters that are not printable.
"""

import re

_BEGINNING = 1000  # characters within which a page has one of the tags
_TAGS = re.compile(r"<(!doctype html|html|head|body|title|script)\b", re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]*>([^<]{1,200})", re.IGNORECASE)


def text(start: bytes) -> str:
    """Returns the first bytes of a web page as text, "" for another file."""
    is_wide = start.startswith((b"\xff\xfe", b"\xfe\xff"))
    page = start.decode("utf-16" if is_wide else "utf-8-sig", "replace").lstrip()
    return page if page.startswith("<") and _TAGS.search(page[:_BEGINNING]) else ""


def title(page: str) -> str:
    """Returns the title of a web page, "" without one."""
    found = _TITLE.search(page)
    return " ".join(found[1].split()) if found else ""
