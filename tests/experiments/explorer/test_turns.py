"""Whose turn it is, and how many compilations there were."""

import threading

import jax
import numpy as np

from experiments.explorer import turns
from experiments.explorer.turns import Turns


def test_the_counter_counts_compilations():
    before = turns.num_compilations()
    jax.jit(lambda x: x * 3.5 + 17)(np.ones(23))
    assert turns.num_compilations() == before + 1


def test_a_picture_goes_before_work_in_the_background():
    queue, order, holds, waits = Turns(), [], threading.Event(), threading.Event()

    def hold():
        with queue.later():
            holds.set()
            waits.wait(10)

    def work():
        with queue.later():
            order.append("work")

    def show():
        with queue.first():
            order.append("picture")

    threads = [threading.Thread(target=one) for one in (hold, work, show)]
    threads[0].start()
    assert holds.wait(10)
    threads[1].start()
    threads[2].start()
    while not queue._waiting:
        pass
    waits.set()
    for thread in threads:
        thread.join(10)
    assert order == ["picture", "work"]
