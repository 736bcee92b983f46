# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What a run tells while it goes: a progress bar, ``log.jsonl`` and files for TensorBoard."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from ros2_spatial_ttt.training.descent import Descent

__all__ = ['Log', 'log_of']

SHOWN = ('names', 'things_right', 'scene_seen')


class Log:
    """Means of what steps report; a context manager.

    Args:
        folder: where files go.
        steps, step: of the whole run, and done before.
        every: steps between two lines.
    """

    def __init__(self, folder: Path, *, steps: int, step: int, every: int = 50) -> None:
        self._every, self._begin = every, time.perf_counter()
        self._sums: dict[str, float] = {}
        self._count = 0
        self._file = (folder / 'log.jsonl').open('a', encoding='utf-8')
        self._board = SummaryWriter(str(folder))
        self._bar = tqdm(total=steps, initial=step, unit='step')

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
        self._board.close()
        self._file.close()

    def add(self, step: int, logged: dict[str, float] | None, skipped: int) -> None:
        """Take what a step reported, None where it was skipped."""
        for name, value in (logged or {}).items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._count += logged is not None
        self._bar.update()
        if step % self._every == 0:
            count = max(self._count, 1)
            means = {name: round(value / count, 4) for name, value in self._sums.items()}
            self.write(step, {**means, 'skipped': skipped}, 'train')
            self._bar.set_postfix({name: means[name] for name in SHOWN if name in means})
            self._sums, self._count = {}, 0

    def write(self, step: int, values: dict[str, float], kind: str) -> None:
        """Write a line, and a point of each curve."""
        seconds = round(time.perf_counter() - self._begin, 1)
        line = {'step': step, 'kind': kind, 'seconds': seconds, **values}
        self._file.write(json.dumps(line) + '\n')
        self._file.flush()
        for name, value in values.items():
            self._board.add_scalar(f'{kind}/{name}', value, step)


@contextlib.contextmanager
def log_of(training: Descent, folder: Path) -> Iterator[Log | None]:
    """Give the log of the first process; the others have none."""
    if not training.ranks.first:
        yield None
        return
    with Log(folder, steps=training.config.steps, step=training.step) as log:
        yield log
