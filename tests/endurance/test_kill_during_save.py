# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""``kill -9`` at any moment of a save leaves a valid snapshot: the old one or the new one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

pytest.importorskip('onnxruntime', reason='the memory needs a runtime')

from ros2_spatial_ttt.config import MemoryConfig
from ros2_spatial_ttt.memory.pipeline import SpatialMemory

pytestmark = pytest.mark.ort

KILLS = 50
# One process makes two different memories, then forks a child per line of input. The child
# saves one after the other over the same file until it is killed.
SAVER = textwrap.dedent("""
    import os, sys
    from pathlib import Path
    from ros2_spatial_ttt.config import MemoryConfig
    from ros2_spatial_ttt.memory.pipeline import SpatialMemory
    from ros2_spatial_ttt.sim.room import boxes

    path = Path(sys.argv[1])
    memories = []
    for seed in (1, 2):
        memory = SpatialMemory(MemoryConfig())
        for frame in boxes.frames(seed, 3, width=160, height=120):
            memory.feed_frame(frame)
        memory.flush()
        memories.append(memory)
    memories[0].save(path)
    print(*(m.status(with_hash=True).state_hash for m in memories), flush=True)
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            print(os.getpid(), flush=True)
            turn = 0
            while True:
                turn += 1
                memories[turn % 2].save(path)
        os.waitpid(child, 0)
        print('dead', flush=True)
""")


@pytest.fixture
def saver(tmp_path: Path):
    command = [sys.executable, '-W', 'ignore', '-c', SAVER, str(tmp_path / 'memory.safetensors')]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        yield process
        process.stdin.close()


def test_kill_during_save_leaves_a_valid_old_or_new_file(
    saver: subprocess.Popen, tmp_path: Path
) -> None:
    path = tmp_path / 'memory.safetensors'
    known = set(saver.stdout.readline().split())
    assert len(known) == 2
    memory = SpatialMemory(MemoryConfig())
    rng = random.Random(0)
    found, interrupted = [], 0
    for _ in range(KILLS):
        saver.stdin.write('go\n')
        child = int(saver.stdout.readline())
        time.sleep(rng.uniform(0.0, 0.05))
        os.kill(child, signal.SIGKILL)
        assert saver.stdout.readline().strip() == 'dead'
        memory.load(path)
        found.append(memory.status(with_hash=True).state_hash)
        leftovers = [other for other in tmp_path.iterdir() if other != path]
        interrupted += bool(leftovers)
        for other in leftovers:
            other.unlink()
    assert set(found) == known, 'every file must be one of the two, and both must occur'
    # What a kill leaves half written shows that kills fell into saves, not between them.
    assert interrupted > KILLS // 10
