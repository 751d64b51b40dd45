"""What every command does: a flagfile repeats its run."""

from absl import flags

from ganspace_jax import command_line

NAMES = ("widths", "fast", "rate", "name", "place", "edit")


def test_flagfile_is_read_back_alike(tmp_path):
    """Through absl itself: lists, booleans, numbers and words; what was not given stays
    away.
    """

    def define():
        values = flags.FlagValues()
        flags.DEFINE_list("widths", ["1"], "", flag_values=values)
        flags.DEFINE_bool("fast", False, "", flag_values=values)
        flags.DEFINE_float("rate", 0.1, "", flag_values=values)
        flags.DEFINE_string("name", None, "", flag_values=values)
        flags.DEFINE_string("place", None, "", flag_values=values)
        flags.DEFINE_multi_string("edit", [], "", flag_values=values)
        return values

    given = define()
    given(
        ["program", "--widths=4,5", "--fast", "--rate=2.5e-3", "--place=a b", "--edit=E(v0, 1-2)=1", "--edit=E(v1)=2"]
    )
    text = command_line.flagfile(given[name] for name in NAMES)
    assert "--name" not in text
    path = tmp_path / "run.flags"
    path.write_text(text)
    again = define()
    again(again.read_flags_from_files(["program", f"--flagfile={path}"], force_gnu=False))
    for name in NAMES:
        assert again[name].value == given[name].value
