# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Homes in parallel: one process each on this machine, or tasks of a Ray cluster.

A process per home, not a pool that lives on: a home that crashes or is killed for memory takes
only itself along, and its seed is known.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from tqdm import tqdm

from ros2_spatial_ttt.errors import SpatialTTTError
from ros2_spatial_ttt.exam.codec import HomeResult
from ros2_spatial_ttt.exam.options import HomeOptions

__all__ = ['Failure', 'examine_homes', 'examine_homes_on_ray']

# Homes run side by side, so that no library may use more than one core for one of them.
ONE_THREAD = {'OMP_NUM_THREADS': '1', 'OPENBLAS_NUM_THREADS': '1', 'MKL_NUM_THREADS': '1'}
STOP_S = 10.0
TICK_FRAMES = 20
TERMINATED = 128 + signal.SIGTERM

Done = Callable[[HomeResult], None]


@dataclass(frozen=True)
class Failure:
    """A home that could not be examined: its seed and why."""

    seed: int
    error: str


def examine_homes(
    seeds: Sequence[int], options: HomeOptions, *, jobs: int, done: Done
) -> list[Failure]:
    """Examine homes in up to ``jobs`` processes and return those that failed, by seed.

    Args:
        seeds: of the homes.
        options: of the exam.
        jobs: processes at a time.
        done: told each result when it is there, in this process.
    """
    failures: list[Failure] = []
    waiting = list(reversed(seeds))
    running: dict[Connection, _Worker] = {}
    with _bar(len(seeds), options) as bar:
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    worker = _Worker(waiting.pop(), options)
                    running[worker.inbox] = worker
                for inbox in wait(list(running)):
                    outcome = running[inbox].receive(bar)
                    if outcome is not None:
                        running.pop(inbox).close()
                        bar.home_done()
                        _sort(outcome, done, failures)
        finally:
            for worker in running.values():
                worker.stop()
    return sorted(failures, key=lambda failure: failure.seed)


def examine_homes_on_ray(
    seeds: Sequence[int], options: HomeOptions, *, address: str, jobs: int, done: Done
) -> list[Failure]:
    """Examine homes as tasks of one core each on a Ray cluster; else as ``examine_homes``.

    Args:
        seeds: of the homes.
        options: of the exam.
        address: 'local' starts a cluster on this machine with ``jobs`` cores; anything else is
            that of a running one.
        jobs: cores of a local cluster.
        done: told each result when it is there, in this process.

    Raises:
        SpatialTTTError: Ray is not installed, or the cluster cannot be reached.
    """
    ray = _ray()
    where: dict[str, Any] = {'num_cpus': jobs} if address == 'local' else {'address': address}
    try:
        ray.init(
            **where,
            include_dashboard=False if address == 'local' else None,
            log_to_driver=False,
            logging_level='ERROR',
            runtime_env={'env_vars': ONE_THREAD},
        )
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise SpatialTTTError(
            f'--ray {address}: no cluster ({error}); expected local, or the address of a running '
            'cluster such as ray://head:10001'
        ) from error
    try:
        return _on_ray(ray, seeds, options, done)
    finally:
        ray.shutdown()


def _on_ray(ray: Any, seeds: Sequence[int], options: HomeOptions, done: Done) -> list[Failure]:
    # One attempt: a home that fails once fails again, as everything in it is seeded.
    task = ray.remote(num_cpus=1, max_retries=0)(_examined)
    pending = {task.remote(seed, options): seed for seed in seeds}
    failures: list[Failure] = []
    with _bar(len(seeds), options, frames=False) as bar:
        while pending:
            ready, _ = ray.wait(list(pending), num_returns=1)
            seed = pending.pop(ready[0])
            try:
                outcome = ray.get(ready[0])
            except ray.exceptions.RayError as error:
                outcome = Failure(seed, str(error))
            bar.home_done()
            _sort(outcome, done, failures)
    return sorted(failures, key=lambda failure: failure.seed)


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise SpatialTTTError(
            '--ray needs Ray, which is not installed: pip install "ros2-spatial-ttt[ray]"'
        ) from error
    return ray


def _sort(outcome: HomeResult | Failure, done: Done, failures: list[Failure]) -> None:
    if isinstance(outcome, Failure):
        failures.append(outcome)
        tqdm.write(f'home {outcome.seed} failed: {outcome.error.splitlines()[0]}', file=sys.stderr)
    else:
        done(outcome)


def _examined(
    seed: int, options: HomeOptions, tick: Callable[[int], None] | None = None
) -> HomeResult | Failure:
    """Examine a home; an exception becomes a ``Failure``, which every process can read."""
    try:
        # The simulator is imported by the process that works, not by the one that waits.
        from ros2_spatial_ttt.exam.homes import examine_home

        return examine_home(seed, options, tick=tick or (lambda frames: None))
    except SpatialTTTError as error:
        return Failure(seed, str(error))
    except Exception as error:
        return Failure(seed, f'{type(error).__name__}: {error}\n{traceback.format_exc()}')


def _work(outbox: Connection, seed: int, options: HomeOptions) -> None:
    """Body of a process: examine one home and send ticks and the outcome."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))  # ends a node's process too

    def tick(frames: int) -> None:
        if frames % TICK_FRAMES == 0:
            outbox.send(frames)

    with contextlib.suppress(BrokenPipeError):
        outbox.send(_examined(seed, options, tick))


class _Worker:
    """The process of one home, seen from the parent."""

    def __init__(self, seed: int, options: HomeOptions) -> None:
        self.seed = seed
        self._frames = 0
        context = multiprocessing.get_context('spawn')
        self.inbox, outbox = context.Pipe(duplex=False)
        self._process = context.Process(
            target=_work, args=(outbox, seed, options), daemon=True, name=f'home-{seed}'
        )
        with _environment(ONE_THREAD), _uninterrupted():
            self._process.start()
        outbox.close()  # else the end of the process would not be the end of the pipe

    def receive(self, bar: _Bar) -> HomeResult | Failure | None:
        """Return the outcome; None after a tick."""
        try:
            message = self.inbox.recv()
        except EOFError:
            self._process.join(STOP_S)
            code = self._process.exitcode
            return Failure(self.seed, f'its process ended with code {code} and without a result')
        if isinstance(message, int):
            bar.frames(message - self._frames)
            self._frames = message
            return None
        return message

    def close(self) -> None:
        """Wait for the process, which has nothing left to do."""
        self._process.join(STOP_S)
        self.stop()

    def stop(self) -> None:
        """End the process."""
        if self._process.is_alive():
            self._process.terminate()
            self._process.join(STOP_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self.inbox.close()


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set variables for processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold back Ctrl-C while a process starts, from this one and from the new one.

    A start that is cut in half leaves a child that prints a traceback. The child inherits the
    blocked signal until it ignores it; a signal that another thread takes is noted here.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    noted: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: noted.append(number))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        signal.signal(signal.SIGINT, before)
    if noted:
        raise KeyboardInterrupt


class _Bar:
    """Progress: frames of all homes, and how many homes are finished."""

    def __init__(self, bar: tqdm, homes: int, *, counts_homes: bool) -> None:
        self._bar, self._homes, self._finished = bar, homes, 0
        self._counts_homes = counts_homes
        self._bar.set_postfix_str(f'homes 0/{homes}')

    def frames(self, count: int) -> None:
        """Count frames of a home that is under way."""
        self._bar.update(count)

    def home_done(self) -> None:
        """Count a home."""
        self._finished += 1
        self._bar.set_postfix_str(f'homes {self._finished}/{self._homes}')
        if self._counts_homes:
            self._bar.update()


@contextlib.contextmanager
def _bar(homes: int, options: HomeOptions, *, frames: bool = True) -> Iterator[_Bar]:
    total, unit = (homes * options.frames, 'frame') if frames else (homes, 'home')
    with tqdm(total=total, unit=unit, desc='exam', disable=None, leave=False) as bar:
        yield _Bar(bar, homes, counts_homes=not frames)
