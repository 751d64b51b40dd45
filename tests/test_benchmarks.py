"""The parts of the benchmarks that need nothing beyond the requirements: what is timed
is what it says.
"""

import time

import jax.numpy as jnp
import numpy as np

from benchmarks import machine


def test_tables_are_markdown():
    rows = [{"layer": "w", "ours, s": "1.0"}, {"layer": "gen_z", "ours, s": "2.0"}]
    assert machine.table(rows) == "| layer | ours, s |\n| --- | --- |\n| w | 1.0 |\n| gen_z | 2.0 |"


def test_the_shortest_run_counts_and_results_are_waited_for(monkeypatch):
    clock = iter([0.0, 5.0, 10.0, 12.0, 20.0, 23.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    runs = []

    def run():
        runs.append(len(runs))
        return jnp.ones(3) * len(runs)

    assert machine.seconds(run, repeats=3) == 2.0
    assert runs == [0, 1, 2]


def test_reports_are_json(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    machine.write_json("name", {"rows": [1], "ratio": float(np.float64(2.0))})
    assert (tmp_path / "runs" / "benchmarks" / "name.json").read_text().startswith('{\n  "rows"')
    assert capsys.readouterr().out == "written: runs/benchmarks/name.json\n"
