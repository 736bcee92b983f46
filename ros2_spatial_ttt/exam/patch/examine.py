# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The patch set: judge a memory on any posed RGB-D recording, without labels.

Frame 0 of the recording is left out; frames 5, 10, 15, … are held out; all others are fed, in
order. From each held-out frame pictures of 96×96 px are cut on a seeded grid
(``questions.cut_patches`` says which) and asked with LOCATE. The error is the distance of the best
answer to the true place of the middle pixel, from depth and pose. No answer is no recall and
an infinite error. Points of seen free space, never seen space and surfaces are asked with
DESCRIBE (``truth.ObservedSpace.sample`` says which). Patches of one frame are not quite
independent; the intervals treat them as if they were.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ros2_spatial_ttt.errors import SpatialTTTError
from ros2_spatial_ttt.exam import metrics
from ros2_spatial_ttt.exam.patch.baselines import (
    Baseline,
    Chance,
    NearestNeighbourStore,
    SiftStore,
)
from ros2_spatial_ttt.exam.patch.pictures import Patch, cut_patches, role
from ros2_spatial_ttt.exam.patch.truth import ObservedSpace
from ros2_spatial_ttt.memory.pipeline import SpatialMemory
from ros2_spatial_ttt.types import Answer, Example, Frame, Query, QueryType, Region, ResultCode

__all__ = ['ExamError', 'PatchOptions', 'PatchReport', 'SystemRun', 'examine']

RADII_M = (0.25, 0.5)
MAX_RESULTS = 5
VERDICTS = {
    'never': ('never_observed', ResultCode.NEVER_OBSERVED),
    'free': ('free_space', ResultCode.NOT_FOUND),
    'surface': ('surface', ResultCode.OK),
}


class ExamError(SpatialTTTError):
    """The recording leaves nothing to ask."""


@dataclass(frozen=True)
class PatchOptions:
    """How many questions are asked: per held-out frame, and points of each kind."""

    patches: int = 16
    points: int = 200
    seed: int = 0


@dataclass
class SystemRun:
    """One system's answers.

    Attributes:
        name: for tables. prefix: of its keys in the results. scores: of its scores among them.
        answers: (3,) map points or None, one per patch. query_ms: time of each.
        feed_s: time for all fed frames.
        stored_bytes: what the answers were made from.
        fixed_bytes: what a memory of fixed size can ever hold; 0 for a store that grows.
    """

    name: str
    prefix: str
    scores: str
    answers: list[NDArray | None] = field(default_factory=list)
    query_ms: list[float] = field(default_factory=list)
    feed_s: float = 0.0
    stored_bytes: int = 0
    fixed_bytes: int = 0


@dataclass
class PatchReport:
    """Everything the set found out.

    Attributes:
        results: flat keys of the exam, see ``docs`` and DESIGN section 7.
        systems: the memory first, then baselines and controls.
        patches: the questions, in the order of the answers.
        surface: (N, 3) measured points of the fed frames, for pictures.
    """

    results: dict[str, Any]
    systems: list[SystemRun]
    patches: list[Patch]
    surface: NDArray[np.float64]


def examine(
    frames: Iterable[Frame], memory: SpatialMemory, *, options: PatchOptions | None = None
) -> PatchReport:
    """Feed ``frames`` to an empty memory and to the baselines, ask, and score.

    The memory is reset at the end (the reset control).

    Raises:
        ExamError: the recording has no held-out frame with depth, or no frame was accepted.
    """
    options = options or PatchOptions()
    memory_run = _run_of('memory', '')
    stores: list[Baseline] = [NearestNeighbourStore(memory.runtime), SiftStore()]
    runs = [_run_of(store.name, f'baseline.{store.name}.') for store in stores]
    space, patches = _feed(frames, memory, memory_run, stores, runs, options)
    status = memory.status()
    if not patches or not status.frames_accepted:
        raise ExamError(
            f'nothing to ask: {len(patches)} patches with depth from held-out frames, '
            f'{status.frames_accepted} frames accepted, refused: {status.refused}; the set needs '
            'at least 6 frames with colour, aligned depth, camera_info and pose'
        )
    chance = Chance(memory.field_points().points, seed=options.seed)
    stores.append(chance)
    runs.append(_run_of(chance.name, f'baseline.{chance.name}.'))

    codes = _ask_memory(memory, patches, memory_run)
    field_run = _without_evidence(memory, patches)
    for store, run in zip(stores, runs, strict=True):
        _ask(store.locate, patches, run)
        run.stored_bytes = store.stored_bytes
    results = _verdicts(memory, space, options)
    results |= _stream_keys(memory, space, patches)
    memory.reset()
    reset_run = _run_of('control: reset', 'control.reset.')
    reset_codes = _ask_memory(memory, patches, reset_run)
    never = np.array(reset_codes) == ResultCode.NEVER_OBSERVED
    systems = [memory_run, field_run, *runs, reset_run]
    for run in systems:
        results |= _localisation_keys(run, patches, options.seed)
    results |= _score_keys('control.reset.patch.never_observed_share', _mean(never, options.seed))
    results['patch.not_found'] = sum(code == ResultCode.NOT_FOUND for code in codes)
    return PatchReport(results, systems, patches, space.surface())


def _run_of(name: str, prefix: str) -> SystemRun:
    return SystemRun(name, prefix, f'{prefix}patch.')


def _without_evidence(memory: SpatialMemory, patches: list[Patch]) -> SystemRun:
    """Ask the same state with its keyframes left aside: what the fast weights alone know."""
    read = replace(memory.config.read, confirm=False)
    field_alone = SpatialMemory(replace(memory.config, read=read))
    field_alone.restore(memory.state)
    run = SystemRun('memory without evidence', 'without_evidence.', 'patch.without_evidence.')
    _ask_memory(field_alone, patches, run)
    run.stored_bytes -= memory.state.evidence.nbytes
    return run


def _feed(
    frames: Iterable[Frame],
    memory: SpatialMemory,
    memory_run: SystemRun,
    stores: list[Baseline],
    runs: list[SystemRun],
    options: PatchOptions,
) -> tuple[ObservedSpace, list[Patch]]:
    space, patches = ObservedSpace(), []
    for index, frame in enumerate(frames):
        part = role(index)
        if part == 'held_out':
            patches += cut_patches(frame, index, count=options.patches, seed=options.seed)
        elif part == 'fed':
            memory_run.feed_s += _seconds(memory.feed_frame, frame)
            for store, run in zip(stores, runs, strict=True):
                run.feed_s += _seconds(store.add, frame)
            if frame.depth is not None:
                space.add(frame)
    memory_run.feed_s += _seconds(memory.flush)
    return space, patches


def _seconds(call: Callable[..., Any], *arguments: Any) -> float:
    start = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - start


def _ask_memory(memory: SpatialMemory, patches: list[Patch], run: SystemRun) -> list[ResultCode]:
    codes = []

    def locate(picture: NDArray[np.uint8]) -> NDArray | None:
        query = Query(QueryType.LOCATE, examples=(Example(picture),), max_results=MAX_RESULTS)
        answer = memory.query(query)
        codes.append(answer.code)
        return _best(answer)

    _ask(locate, patches, run)
    status = memory.status()
    run.stored_bytes, run.fixed_bytes = status.state_bytes_used, status.state_bytes
    return codes


def _best(answer: Answer) -> NDArray | None:
    """Return the point of the best instance; only an answer that says OK has one."""
    if answer.code != ResultCode.OK or not answer.instances:
        return None
    return answer.instances[0].position


def _ask(
    locate: Callable[[NDArray[np.uint8]], NDArray | None], patches: list[Patch], run: SystemRun
) -> None:
    for patch in tqdm(patches, desc=run.name, leave=False, disable=None):
        start = time.perf_counter()
        run.answers.append(locate(patch.picture))
        run.query_ms.append(1e3 * (time.perf_counter() - start))


def _verdicts(
    memory: SpatialMemory, space: ObservedSpace, options: PatchOptions
) -> dict[str, Any]:
    points = space.sample(options.points, seed=options.seed)
    truth, given, results = [], [], {}
    for kind, (name, code) in VERDICTS.items():
        answers = [memory.query(_describe(point)).code for point in points[kind]]
        truth += [int(code)] * len(answers)
        given += [int(answer) for answer in answers]
        right = np.array([answer == code for answer in answers])
        results |= _score_keys(f'verdict.{name}_share', _mean(right, options.seed))
        results[f'verdict.{name}_queries'] = len(answers)
    labels = [int(code) for _, code in VERDICTS.values()]
    score = metrics.bootstrap(
        lambda t, g: metrics.macro_f1(t, g, labels), truth, given, seed=options.seed
    )
    return results | _score_keys('verdict.macro_f1', score)


def _describe(point: NDArray) -> Query:
    place = tuple(float(x) for x in point)
    return Query(QueryType.DESCRIBE, region=Region(minimum=place, maximum=place))


def _stream_keys(
    memory: SpatialMemory, space: ObservedSpace, patches: list[Patch]
) -> dict[str, Any]:
    status = memory.status()
    seen = space.measured(np.array([patch.point for patch in patches]))
    return {
        'frames.fed': status.frames_received,
        'frames.accepted': status.frames_accepted,
        'update.p50_ms': status.update_p50_ms,
        'update.p95_ms': status.update_p95_ms,
        # Places that no fed frame measured within 0.1 m bound what any system can recall.
        'patch.answerable_share': float(seen.mean()),
    }


def _localisation_keys(run: SystemRun, patches: list[Patch], seed: int) -> dict[str, Any]:
    errors = metrics.localisation_errors(run.answers, [patch.point for patch in patches])
    statistics: dict[str, Callable[[NDArray], float]] = {
        'median_error_m': lambda e: metrics.percentile(e, 50),
        'p90_error_m': lambda e: metrics.percentile(e, 90),
        'answered_share': lambda e: float(np.isfinite(e).mean()),
    }
    for radius in RADII_M:
        statistics[f'recall_at_{radius:g}m'] = lambda e, r=radius: metrics.recall_at(e, r)
    results: dict[str, Any] = {}
    for key, statistic in statistics.items():
        score = metrics.bootstrap(statistic, errors, seed=seed)
        results |= _score_keys(f'{run.scores}{key}', score)
    slow = metrics.bootstrap(lambda t: metrics.percentile(t, 95), run.query_ms, seed=seed)
    results |= _score_keys(f'{run.prefix}query.p95_ms', slow)
    results[f'{run.scores}queries'] = len(errors)
    results[f'{run.prefix}state_bytes'] = run.fixed_bytes or run.stored_bytes
    results[f'{run.prefix}state_bytes_used'] = run.stored_bytes
    results[f'{run.prefix}feed_s'] = run.feed_s
    return results


def _mean(right: NDArray, seed: int) -> metrics.Score:
    return metrics.bootstrap(lambda r: float(r.mean()) if r.size else 0.0, right, seed=seed)


def _score_keys(key: str, score: metrics.Score) -> dict[str, float]:
    return {key: score.value, f'{key}.low': score.low, f'{key}.high': score.high}
