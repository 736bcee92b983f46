# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The exam of one home: its frames go through all systems, questions come in between.

Each frame is made once and goes to all systems; in an exam on pixels the model looks at it once,
for the memory and for everything else that lives on what is seen in it. The stores of equal bytes
get as many as the memory holds in the end, so they come after it; what was seen is kept for them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.config import ChunkConfig, MemoryConfig, from_flat
from ros2_spatial_ttt.exam.answering import respond
from ros2_spatial_ttt.exam.asking import make_questions
from ros2_spatial_ttt.exam.codec import HomeResult, Plan, SystemResult
from ros2_spatial_ttt.exam.options import HomeOptions, model_labels
from ros2_spatial_ttt.exam.question import Question, Response
from ros2_spatial_ttt.exam.showing import shown
from ros2_spatial_ttt.exam.systems import (
    CONTROLS,
    DETECTION_STORES,
    EQUAL_BYTES,
    SYSTEMS,
    SystemContext,
)
from ros2_spatial_ttt.exam.systems.eyes import ClosedEyes, Eyes, Looks, Seen, open_eyes
from ros2_spatial_ttt.exam.systems.network import OneNetwork
from ros2_spatial_ttt.resources import model_directory
from ros2_spatial_ttt.runtime import open_runtime
from ros2_spatial_ttt.runtime.base import load_manifest
from ros2_spatial_ttt.sim.episode import Episode, make_episode
from ros2_spatial_ttt.sim.senses.optics import intrinsics_of
from ros2_spatial_ttt.sim.world import CATEGORIES
from ros2_spatial_ttt.types import Frame, Percept

__all__ = ['examine_home', 'memory_config']

# Frames at the end of a tour whose way a picture shows; more would hide the home.
PATH_FRAMES = 600
MOST_CHUNK_S = 60.0  # of the parameter chunk.flush_s


def examine_home(
    seed: int,
    options: HomeOptions,
    *,
    tick: Callable[[int], None] = lambda frames: None,
) -> HomeResult:
    """Examine all systems in one home.

    Args:
        seed: of the home, its tour and its questions.
        options: of the exam.
        tick: told after each frame of the first pass how many were fed.

    Raises:
        SpatialTTTError: the home cannot be made, or a system cannot be started.
    """
    start = time.perf_counter()
    episode = make_episode(
        seed, minutes=options.minutes, rate_hz=options.rate_hz, rooms=options.rooms or None
    )
    # Examples are pictures of the frames, which only the memory's own model sees.
    questions = make_questions(episode, options.sets, pictures=options.perception == 'model')
    with ExitStack() as stack:
        home = _Home(episode, questions, options, stack)
        done = home.run([*_views(home, stack), *_others(home)], tick)
        memory_bytes = done['memory'].stored_bytes if 'memory' in done else 0
        done |= home.run(_equal_bytes(home, memory_bytes), _silent if done else tick)
    return HomeResult(
        seed=seed,
        digest=options.digest(),
        frames=len(episode.tour),
        begin_ns=int(episode.tour.stamps_ns[0]),
        questions=tuple(questions),
        systems={name: done[name] for name in options.systems},
        plan=_plan(episode),
        elapsed_s=time.perf_counter() - start,
    )


def memory_config(options: HomeOptions) -> MemoryConfig:
    """Return the parameters of the memory under exam: one thread, as homes run side by side."""
    values = {
        'model': options.model,
        'backend': options.backend,
        'threads': 1,
        'tiles.budget_mb': options.budget_mb,
        **dict(options.params),
    }
    if options.perception != 'model':
        # With its own perception the model has its own names.
        values['votes.labels'] = ','.join(CATEGORIES)
    else:
        values.setdefault('chunk.flush_s', _chunk_s(options))
    return from_flat(MemoryConfig, values)


def _chunk_s(options: HomeOptions) -> float:
    """Return the seconds of a full chunk: a network on half empty ones would cost twice."""
    frames = load_manifest(model_directory(options.model)).chunk_frames
    return min(max(ChunkConfig().flush_s, frames / options.rate_hz), MOST_CHUNK_S)


def _names(options: HomeOptions) -> tuple[str, ...]:
    """Return the names of detected things: the model's, or all of the simulator's."""
    return model_labels(options.model) if options.perception == 'model' else CATEGORIES


def _silent(_frames: int) -> None:
    """Take a tick of a second pass, which is not counted."""


class _Home:
    """One home and its questions; runs systems over its frames."""

    def __init__(
        self,
        episode: Episode,
        questions: Sequence[Question],
        options: HomeOptions,
        stack: ExitStack,
    ) -> None:
        self.episode, self.options = episode, options
        self._questions = questions
        self.picture = _Pictures(episode, stack) if options.perception == 'model' else None
        config = memory_config(options)
        self.runtime = OneNetwork(
            open_runtime(config.model, config.backend, threads=config.threads)
        )
        self._kept: list[Percept] = []

    def run(
        self, candidates: Sequence[_Candidate], tick: Callable[[int], None]
    ) -> dict[str, SystemResult]:
        """Feed every frame, ask every question at its time, and return the results by name."""
        if not candidates:
            return {}
        pending = list(reversed(self._questions))
        looking = any(candidate.looks for candidate in candidates)
        eyes = self._eyes(candidates)
        for count, item in enumerate(self._stream() if looking else (), start=1):
            if pending and pending[-1].ask_ns < item.stamp_ns:
                # Answers rest on all frames so far, those of the memory as well.
                _show(candidates, self._noted(eyes.flush()))
            while pending and pending[-1].ask_ns < item.stamp_ns:
                _ask_all(candidates, pending.pop())
            # The memory is the first, so it is the one whose times hold the look at a chunk.
            _show(candidates, [item])
            _show(candidates, self._noted(eyes.percepts(item)))
            tick(count)
        _show(candidates, self._noted(eyes.flush()))
        while pending:
            _ask_all(candidates, pending.pop())
        return {candidate.name: candidate.result() for candidate in candidates}

    def _eyes(self, candidates: Sequence[_Candidate]) -> Eyes:
        """Return the model's perception if the exam is on pixels and anybody needs it."""
        needed = any(candidate.needs_eyes for candidate in candidates)
        if self.picture is None or self._kept or not (needed or self._keeps):
            return ClosedEyes()
        return open_eyes(memory_config(self.options), self.runtime)

    def _stream(self) -> Iterable[Percept | Frame]:
        """Return what is shown, in order of time; the second time what the model saw."""
        if self._kept:
            return self._kept
        options = self.options
        sensor = options.sensor_config
        return shown(self.episode, options.perception, sensor=sensor, depth=options.depth)

    @property
    def _keeps(self) -> bool:
        """Whether what the model sees is needed once more."""
        return self.picture is not None and any(n in EQUAL_BYTES for n in self.options.systems)

    def _noted(self, seen: list[Seen]) -> list[Seen]:
        """Keep the percepts among what was seen, if they are needed once more; return all."""
        if self._keeps:
            self._kept += [item for item in seen if isinstance(item, Percept)]
        return seen


class _Candidate:
    """A system under exam with its answers and times."""

    def __init__(self, name: str, system: Any, home: _Home) -> None:
        self.name, self._system, self._home = name, system, home
        pixels = home.picture is not None
        takes_percepts = not pixels or name in DETECTION_STORES
        self._feeds: dict[type, Callable[[Any], None] | None] = {
            Frame: getattr(system, 'observe_frame', None) if pixels else None,
            Percept: getattr(system, 'observe', None) if takes_percepts else None,
            Looks: getattr(system, 'observe_looks', None) if pixels else None,
        }
        self._responses: list[Response] = []
        self._feed_s: list[float] = []

    @property
    def looks(self) -> bool:
        """Whether it takes in anything; systems that answer from priors do not."""
        return any(self._feeds.values())

    @property
    def needs_eyes(self) -> bool:
        """Whether it lives on what is seen in frames."""
        return self._feeds[Percept] is not None or self._feeds[Looks] is not None

    def observe(self, item: Frame | Seen) -> None:
        """Take in a frame or what was seen in it, if it can."""
        feed = self._feeds[type(item)]
        if feed is not None:
            start = time.perf_counter()
            feed(item)
            self._feed_s.append(time.perf_counter() - start)

    def ask(self, question: Question) -> None:
        """Answer a question, with its seconds."""
        start = time.perf_counter()
        if hasattr(self._system, 'respond'):
            response = self._system.respond(question)
        else:
            response = respond(question, self._system.query, picture=self._home.picture)
        self._responses.append(replace(response, seconds=time.perf_counter() - start))

    def result(self) -> SystemResult:
        """Return what the system answered."""
        feed_ms = 1e3 * np.array(self._feed_s or [0.0])
        half, most = (float(value) for value in np.percentile(feed_ms, (50, 95)))
        memory = getattr(self._system, 'memory', None)
        if memory is not None:
            # Most frames only wait for their chunk; an update is what writes one.
            status = memory.status()
            half, most = status.update_p50_ms, status.update_p95_ms
        times = {
            'observe_s': float(feed_ms.sum()) / 1e3,
            'update_p50_ms': half,
            'update_p95_ms': most,
        }
        return SystemResult(tuple(self._responses), int(self._system.stored_bytes), times)


def _show(candidates: Sequence[_Candidate], items: Iterable[Frame | Seen]) -> None:
    for item in items:
        for candidate in candidates:
            candidate.observe(item)


def _ask_all(candidates: Sequence[_Candidate], question: Question) -> None:
    for candidate in candidates:
        candidate.ask(question)


def _views(home: _Home, stack: ExitStack) -> list[_Candidate]:
    """Return the memory and the controls on it, as far as they are under exam."""
    options = home.options
    names = [name for name in options.systems if name == 'memory' or name in CONTROLS]
    if not names:
        return []
    context = _context(home, 0)
    core = SYSTEMS['memory'](context)
    memory = core
    if options.via == 'ros':
        from ros2_spatial_ttt.exam.ros import NodeMemory

        memory = stack.enter_context(NodeMemory(core, context.memory_config))
    # The memory is fed also where only controls are under exam, as they are views on it.
    out = [_Candidate('memory', memory, home)]
    context = replace(context, memory=core)
    out += [_Candidate(name, SYSTEMS[name](context), home) for name in names if name != 'memory']
    return out


def _others(home: _Home) -> list[_Candidate]:
    """Return what needs neither the memory nor its bytes."""
    skipped = ('memory', *CONTROLS, *EQUAL_BYTES)
    names = [name for name in home.options.systems if name not in skipped]
    return [_Candidate(name, SYSTEMS[name](_context(home, 0)), home) for name in names]


def _equal_bytes(home: _Home, memory_bytes: int) -> list[_Candidate]:
    """Return the stores that get as many bytes as the memory holds."""
    names = [name for name in home.options.systems if name in EQUAL_BYTES]
    context = _context(home, memory_bytes)
    return [_Candidate(name, SYSTEMS[name](context), home) for name in names]


def _context(home: _Home, budget_bytes: int) -> SystemContext:
    options = home.options
    return SystemContext(
        memory_config=memory_config(options),
        perception=options.perception,
        sensor=options.sensor_config,
        depth=options.depth,
        budget_bytes=budget_bytes,
        seed=home.episode.home.seed,
        labels=_names(options),
        thresholds=dict(options.thresholds),
        runtime=home.runtime,
    )


class _Pictures:
    """Example pictures: the frame that a question names, rendered without the sensor's faults.

    The last one is kept, as all systems are asked the same.
    """

    def __init__(self, episode: Episode, stack: ExitStack) -> None:
        from ros2_spatial_ttt.sim.stage import Stage

        self._episode = episode
        self._last: tuple[int, NDArray[np.uint8]] | None = None
        self._stage = stack.enter_context(Stage(episode.home, episode.tour.changes))

    def __call__(self, question: Question) -> NDArray[np.uint8]:
        """Return the frame (H, W, 3) RGB that a question names."""
        index, _ = question.picture
        if self._last is None or self._last[0] != index:
            tour = self._episode.tour
            self._stage.set_time(int(tour.stamps_ns[index]))
            pose = self._episode.map_T_camera(0)[index]
            self._last = index, self._stage.render(intrinsics_of(tour.cameras[0]), pose)[0]
        return self._last[1]


def _plan(episode: Episode) -> Plan:
    tour = episode.tour
    return Plan(
        rooms=tuple((room.kind, room.polygon) for room in episode.home.rooms),
        things=tuple(
            (t.id, t.category, *t.centre[:2], *t.size[:2], t.yaw)
            for t in episode.things_at(int(tour.stamps_ns[-1]))
        ),
        path=tuple((float(x), float(y)) for x, y in tour.map_T_base[-PATH_FRAMES:, :2, 3]),
    )
