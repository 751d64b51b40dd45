"""The published edits are all there, as published, and each can be named."""

import pytest

from ganspace_jax.directions import published_edits
from ganspace_jax.directions.edits import Edit
from ganspace_jax.errors import InputError


def test_all_are_there_as_published():
    edits = published_edits.published()
    assert len(edits) == 105 and sum(edit.in_paper for edit in edits) == 26
    autumn = edits[0]
    assert autumn == ("Autumn", "stylegan2", "car", "style", "w", Edit(50, (8, 9), 20.0), (329004386,), True)
    assert edits[1].seeds == (587218105, 361309542, 1355448359)


def test_every_edit_has_a_name_of_its_own():
    """All lines of the table lead back to their edit, those of the same name too."""
    edits = published_edits.published()
    lines = [line for line in published_edits.table(edits).splitlines() if line.startswith("ganspace:")]
    found = [published_edits.find(line.split("  ")[0]) for line in lines]
    assert [id(edit) for edit in found] == [id(edit) for edit in edits]


def test_a_plain_name_is_enough_where_it_is_the_only_one():
    assert published_edits.find("ganspace:Autumn") is published_edits.published()[0]
    assert published_edits.find("ganspace:Smile").data == "ffhq"
    assert published_edits.find("ganspace:Smile #2").edit != published_edits.find("ganspace:Smile").edit


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ganspace:Add grass", "there are several; write ganspace:.*/Add grass or ganspace:.*/Add grass"),
        ("ganspace:Atumn", "no such published edit; did you mean 'ganspace:Autumn'"),
        ("ganspace:zzzz", "no such published edit; --list shows all"),
    ],
)
def test_names_that_do_not_lead_to_one_edit_are_refused(text, message):
    with pytest.raises(InputError, match=f"--edit={text}: {message}"):
        published_edits.find(text)


def test_the_publications_settings():
    """Those of the notebook figure_edit_zoo: StyleGAN2 .7, BigGAN .6, StyleGAN none."""
    find = published_edits.find
    autumn = published_edits.settings([find("ganspace:Autumn")], (), 0)
    assert autumn == {"centred": True, "truncation_psi": 0.7, "seeds": ["329004386"]}
    pose = published_edits.settings([find("ganspace:Bed pose")], (), 0)
    assert pose == {"centred": True, "seeds": ["96357868"]}
    twice = [find("ganspace:Show tongue"), find("ganspace:Local contrast")]
    big = published_edits.settings(twice, (), 1000)
    assert big == {"centred": True, "truncation_psi": 0.6, "seeds": ["489408324"], "label": "248"}


@pytest.mark.parametrize(
    ("names", "class_names", "num_classes", "label"),
    [
        (["Moonlight"], (), 1000, "288"), (["Moonlight"], ("cone", "leopard"), 2, "leopard"),
        (["Moonlight"], ("cone",), 1, None), (["Moonlight", "Season"], (), 1000, None),
        (["Dry ground"], (), 1000, "277"), (["Red barn"], (), 1000, "425"), (["Autumn"], ("car",), 1, "car"),
        (["Autumn"], (), 0, None),
    ],
)  # fmt: skip
def test_the_class_of_edits_is_their_one_class_if_the_generator_has_it(names, class_names, num_classes, label):
    edits = [published_edits.find(f"ganspace:{name}") for name in names]
    assert published_edits.settings(edits, class_names, num_classes).get("label") == label


def test_components_that_cannot_have_it_are_refused():
    autumn = published_edits.find("ganspace:Autumn")
    published_edits.check(autumn, 51, "w")
    with pytest.raises(InputError, match=r"component 50, --components has 50; .* --num_components=80"):
        published_edits.check(autumn, 50, "w")
    with pytest.raises(InputError, match="direction is in w, those of the components are in z"):
        published_edits.check(autumn, 80, "z")
