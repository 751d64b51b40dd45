"""Docstrings are in plain words, as far as a program can tell; CONTRIBUTING.md has the
rule.
"""

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
FOLDERS = ("ganspace_jax", "experiments", "checkpoints_convert", "benchmarks")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
HEADINGS = ("Args:", "Attributes:", "Returns:", "Raises:", "Yields:")
GLOSS = re.compile(r"[*\w]+(, [*\w]+)*: ")
QUOTED = re.compile(r"\"[^\"]*\"|`[^`]*`|\([^()]*\)|\[[^\]]*\]")
UNPLAIN = re.compile(r"^Of\b|\b(nobody|likes|wants|says|knows)\b", re.IGNORECASE)
MOST_WORDS = 25


def _passages(docstring: str) -> list[str]:
    """Returns paragraphs and list entries; indented commands, equations and tables are
    left out.
    """
    passages, in_list = [""], False
    for line in docstring.splitlines():
        text = line.strip()
        if not text or text in HEADINGS or GLOSS.match(text) or text.startswith("- "):
            passages.append("")
        if text and (text in HEADINGS or not line.startswith("  ")):
            in_list = text in HEADINGS or text.startswith("- ")
        if text not in HEADINGS and (in_list or not line.startswith("  ")):
            passages[-1] += " " + text.removeprefix("- ")
    return [passage.strip() for passage in passages]


def _faults(docstring: str) -> list[str]:
    faults = []
    for passage in _passages(docstring):
        gloss = GLOSS.match(passage)
        text = passage[gloss.end() :] if gloss else passage
        if gloss and re.match("(of|for|in) ", text, re.IGNORECASE):
            faults.append(f"gloss without a noun: {passage}")
        for sentence in re.split(r"(?<=[.;:])\s+", QUOTED.sub("X", text)):
            if UNPLAIN.search(sentence) or len(re.findall(r"[^\W\d_][\w'-]*", sentence)) > MOST_WORDS:
                faults.append(f"not plain: {sentence}")
    return faults


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings_are_in_plain_words(path):
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, DOCUMENTED)]
    faults = [fault for node in nodes for fault in _faults(ast.get_docstring(node) or "")]
    assert not faults, "\n".join(faults)


TOO_LONG = " ".join(["word"] * (MOST_WORDS + 1))


@pytest.mark.parametrize("text", ["Returns x. Of one step.", "A pair as jit likes it.", f"It is short; {TOO_LONG}."])
def test_unplain_words_are_found(text):
    assert _faults(text) and _faults(f"Returns x.\n\nArgs:\n    x: first.\n    y: second,\n        so. {text}")
    assert not _faults(f"Returns x:\n\n    {text}\n\nThe `{text}` is left out.")


@pytest.mark.parametrize(
    ("gloss", "is_plain"), [("of the noise", False), ("in pixels", False), ("size in pixels", True)]
)
def test_glosses_without_a_noun_are_found(gloss, is_plain):
    assert is_plain is not bool(_faults(f"Returns x.\n\nArgs:\n    x: {gloss}."))
