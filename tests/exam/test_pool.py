# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Homes in processes and on Ray: the same results everywhere, failures by seed."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal
import threading
import time

import pytest

pytest.importorskip('mujoco', reason='homes need MuJoCo')
pytest.importorskip('onnxruntime', reason='the memory needs a runtime')

from ros2_spatial_ttt.errors import SpatialTTTError  # noqa: E402
from ros2_spatial_ttt.exam import pool  # noqa: E402
from ros2_spatial_ttt.exam.codec import HomeResult, home_to_json  # noqa: E402
from ros2_spatial_ttt.exam.options import HomeOptions  # noqa: E402

pytestmark = pytest.mark.ort

SEEDS = (7, 8)


def examined(options: HomeOptions, *, jobs: int) -> dict[int, HomeResult]:
    found: dict[int, HomeResult] = {}
    failures = pool.examine_homes(
        SEEDS, options, jobs=jobs, done=lambda result: found.update({result.seed: result})
    )
    assert failures == []
    return found


@pytest.fixture(scope='module')
def one_by_one(tiny: HomeOptions) -> dict[int, HomeResult]:
    return examined(tiny, jobs=1)


def test_results_do_not_depend_on_the_number_of_processes(one_by_one, tiny, without_times) -> None:
    together = examined(tiny, jobs=2)
    assert list(one_by_one) == list(SEEDS)
    for seed in SEEDS:
        assert home_to_json(without_times(together[seed])) == home_to_json(
            without_times(one_by_one[seed])
        )


def test_times_are_measured(one_by_one) -> None:
    memory = one_by_one[SEEDS[0]].systems['memory']
    assert memory.times['observe_s'] > 0.0 and memory.stored_bytes > 0
    assert all(response.seconds > 0.0 for response in memory.responses)


def test_a_home_that_cannot_be_made_is_reported_and_the_others_go_on(tiny) -> None:
    found: list[HomeResult] = []
    failures = pool.examine_homes([500_000, 7], tiny, jobs=1, done=found.append)
    assert [failure.seed for failure in failures] == [500_000]
    assert '500000' in failures[0].error.replace(',', '')
    assert [result.seed for result in found] == [7]


def test_a_process_that_is_killed_is_reported(tiny) -> None:
    def kill() -> None:
        while not (children := multiprocessing.active_children()):
            time.sleep(0.01)
        os.kill(children[0].pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    failures = pool.examine_homes([7], tiny, jobs=1, done=lambda result: None)
    killer.join()
    assert [failure.seed for failure in failures] == [7]
    assert 'ended with code -9' in failures[0].error


def test_threads_of_libraries_are_limited_only_in_the_processes_of_homes(tiny) -> None:
    before = dict(os.environ)
    pool.examine_homes([500_000], tiny, jobs=1, done=lambda result: None)
    assert dict(os.environ) == before


# Ray warns of its own future.
@pytest.mark.filterwarnings('default::FutureWarning', 'default::ResourceWarning')
def test_a_ray_cluster_gives_the_same(one_by_one, tiny, without_times) -> None:
    pytest.importorskip('ray', reason='needs the extra ray')
    found: dict[int, HomeResult] = {}
    failures = pool.examine_homes_on_ray(
        [SEEDS[0], 500_000],
        tiny,
        address='local',
        jobs=2,
        done=lambda result: found.update({result.seed: result}),
    )
    assert [failure.seed for failure in failures] == [500_000]
    assert list(found) == [SEEDS[0]]
    assert home_to_json(without_times(found[SEEDS[0]])) == home_to_json(
        without_times(one_by_one[SEEDS[0]])
    )


def test_a_cluster_that_is_not_there_is_a_sentence(tiny) -> None:
    pytest.importorskip('ray', reason='needs the extra ray')
    with pytest.raises(SpatialTTTError, match='--ray nonsense: no cluster'):
        pool.examine_homes_on_ray(
            SEEDS, tiny, address='nonsense', jobs=1, done=lambda result: None
        )


def test_options_are_values(tiny) -> None:
    assert dataclasses.replace(tiny) == tiny and hash(dataclasses.replace(tiny)) == hash(tiny)
