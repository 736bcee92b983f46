# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""``SpatialMemory``: the object that node, replay, exam and tests all call.

One writer at a time (an inner lock), any number of readers: ``feed_frame``, ``flush``, ``load``,
``reset`` and ``forget`` replace the immutable state; ``query``, ``save`` and ``status`` read the
last one that was published and never wait for an update.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.config import MemoryConfig, validate
from ros2_spatial_ttt.errors import FrameRefused, Refusal
from ros2_spatial_ttt.memory.budget import budget_bytes
from ros2_spatial_ttt.memory.chunker import Chunker
from ros2_spatial_ttt.memory.evidence import Keyframe, bank_bytes
from ros2_spatial_ttt.memory.field import FieldKeys, PackedField
from ros2_spatial_ttt.memory.forgetting import END_OF_TIME, Forgotten, count_places, forget
from ros2_spatial_ttt.memory.gate import Gate, check_content, check_percept
from ros2_spatial_ttt.memory.preprocess import CameraTokens, PreparedFrame
from ros2_spatial_ttt.memory.reader import FieldPoints, Reader
from ros2_spatial_ttt.memory.snapshot import TileShelf, load_state, save_state
from ros2_spatial_ttt.memory.state import (
    MemoryState,
    backbone_bytes,
    shared_tensors,
    state_hash,
)
from ros2_spatial_ttt.memory.tally import Tally
from ros2_spatial_ttt.memory.tiles import TileGrid, TileIndex
from ros2_spatial_ttt.memory.votes import empty_votes, vote_frequencies
from ros2_spatial_ttt.memory.windows import window_grid
from ros2_spatial_ttt.memory.writer import NotFinite, Writer
from ros2_spatial_ttt.query.engine import QueryEngine
from ros2_spatial_ttt.query.names import Reading
from ros2_spatial_ttt.runtime import Runtime, open_runtime
from ros2_spatial_ttt.types import (
    Answer,
    FeedResult,
    Frame,
    MemoryStatus,
    Percept,
    Query,
    Region,
)

__all__ = ['SpatialMemory']

T = TypeVar('T')

_LOG = logging.getLogger(__name__)

# For this long after a question, places are read after every update instead of when asked.
WARM_S = 10.0


class SpatialMemory:
    """A streaming spatial memory of fixed size.

    Args:
        config: every parameter.
        runtime: of that model, shared with others; None opens one of its own.

    Raises:
        ConfigError: a parameter is out of range. ModelError: the model cannot be used.
    """

    def __init__(
        self, config: MemoryConfig | None = None, *, runtime: Runtime | None = None
    ) -> None:
        self.config = validate(config or MemoryConfig())
        self.runtime = runtime or open_runtime(
            self.config.model, self.config.backend, threads=self.config.threads
        )
        self.manifest = self.runtime.manifest
        self.config = _named(self.config, self.manifest.labels)
        self.grid = TileGrid(self.config.tiles)
        self._keys = _keys(self.config, self.runtime)
        empty, ridge = empty_votes(self.config.votes), self.config.votes.ridge
        votes = PackedField.of(empty, ridge, forgets=True)
        self._shelf = TileShelf(self.config.tiles.directory, self.manifest, votes)
        self._writer = Writer(self.config, self.runtime, self.grid, self._shelf, self._keys)
        self._reader = Reader(self.runtime, self.grid, self._keys['votes'].omega)
        # A detector that brings its own names is not the one that the model was calibrated with.
        own = config is None or not config.votes.names
        known = self.manifest.detector, self.manifest.labels
        reading = Reading.from_manifest(*known) if own else Reading()
        self._engine = QueryEngine(self.config, self.runtime, self._reader, reading)
        self._gate = Gate(self.config.gate)
        flush_ns = round(self.config.chunk.flush_s * 1e9)
        frames = self.manifest.chunk_frames
        self._chunker: Chunker[PreparedFrame] = Chunker(frames=frames, flush_ns=flush_ns)
        self._percepts: Chunker[Percept] = Chunker(frames=frames, flush_ns=flush_ns)
        self._cameras: dict[str, CameraTokens] = {}
        self._state = MemoryState.empty(self.manifest.embedding)
        self._asked_at = float('-inf')
        self._write_lock = threading.Lock()
        self._save_lock = threading.Lock()
        self._tally = Tally()

    # Writing.

    def feed_frame(self, frame: Frame) -> FeedResult:
        """Offer a frame; update the memory when it closes a chunk.

        The frame's arrays are read before this returns and not kept.
        """
        with self._write_lock:
            self._tally.count('received')
            try:
                check_content(frame, depth_needed=not self.manifest.predicts_depth)
                if self._gate.jumped_back(frame) and self.config.gate.time_jump == 'reset':
                    _LOG.warning('time went back (a bag loops?): the memory starts anew')
                    self._reset()
                prepared = self._prepared(frame)
            except FrameRefused as error:
                return self._refusal(error)
            self._state = replace(self._state, camera_width=frame.intrinsics.width)
            self._tally.count('accepted')
            chunks = self._chunker.add(prepared)
            updates = [self._write(self._writer.write, chunk) for chunk in chunks]
            return FeedResult(chunk_updated=any(updates))

    def feed_percept(self, percept: Percept) -> FeedResult:
        """Offer what a detector and a depth sensor say about a frame, in place of its pixels."""
        with self._write_lock:
            self._tally.count('received')
            try:
                check_percept(percept, self.config.votes.names)
                self._gate.check_motion(percept)
            except FrameRefused as error:
                return self._refusal(error)
            self._tally.count('accepted')
            chunks = self._percepts.add(percept)
            updates = [self._write(self._writer.write_percepts, chunk) for chunk in chunks]
            return FeedResult(chunk_updated=any(updates))

    def refuse(self, reason: Refusal, message: str = '') -> None:
        """Count a frame that was unusable before it became a ``Frame``."""
        self._tally.count('received')
        self._tally.refuse(reason.value)
        if message:
            _LOG.debug('refused: %s: %s', reason.value, message)

    def flush(self, now_ns: int | None = None) -> bool:
        """Write frames that no full chunk was made of; return whether there were any.

        Args:
            now_ns: write only chunks that began at least ``chunk.flush_s`` before; None = all.
        """
        with self._write_lock:
            return self._write_pending(now_ns)

    def reset(self) -> None:
        """Forget everything; counters go on."""
        with self._write_lock:
            self._reset()

    def forget(self, region: Region | None = None, since_ns: int = 0, until_ns: int = 0) -> int:
        """Forget what lies in a region and was only seen within a time; return how many places.

        Args:
            region: box in the map; None = everywhere.
            since_ns: begin of the time, 0 = open.
            until_ns: end of the time, 0 = open. Nothing given = everything.
        """
        with self._write_lock:
            self._write_pending()
            if region is None and not since_ns and not until_ns:
                gone = count_places(self._state, self._shelf)
                self._reset()
                return gone
            what = Forgotten(region, since_ns, until_ns or END_OF_TIME)
            self._state, gone = forget(
                self._state, what, grid=self.grid, keys=self._keys, shelf=self._shelf
            )
            return gone

    def load(self, path: Path | str) -> None:
        """Replace the memory by a snapshot.

        Raises:
            SnapshotError: it is not a whole snapshot for this model and map; nothing is changed.
        """
        with self._write_lock:
            state = load_state(
                Path(path),
                self.manifest,
                self._snapshot_header(),
                budget=budget_bytes(self.config.tiles),
                shelf=self._shelf,
            )
            self._reset(keep=state.on_disk)
            self._state = state

    # Reading.

    def query(self, query: Query) -> Answer:
        """Answer a question from the last published state; never raises."""
        begin = time.perf_counter()
        self._asked_at = time.monotonic()
        answer = self._engine.answer(self._state, query)
        latency_ms = 1e3 * (time.perf_counter() - begin)
        self._tally.asked(latency_ms)
        return replace(answer, latency_ms=latency_ms)

    def save(self, path: Path | str) -> int:
        """Write a snapshot of the last published state and return its bytes.

        Raises:
            SnapshotError: it cannot be written; an older file of that name is still whole.
        """
        with self._save_lock:
            return save_state(
                Path(path), self._state, self._shelf, self.manifest, self._snapshot_header()
            )

    def read(self, points: NDArray[np.float64]) -> FieldPoints:
        """Return what the memory says at map points (n, 3), in their order."""
        return self._reader.at(self._state, np.asarray(points, np.float64))

    def field_points(self) -> FieldPoints:
        """Return what the memory says at every place where it measured a surface."""
        points = self._reader.places(self._state)
        threshold = self.config.read.occupied_threshold
        return points.kept(points.occupied > threshold * points.observed)

    def keyframes(self) -> list[Keyframe]:
        """Return the evidence bank, oldest first."""
        return list(self._state.evidence.keyframes)

    def status(self, *, with_hash: bool = False) -> MemoryStatus:
        """Return counters and sizes; the hash of the state costs milliseconds per tile."""
        state = self._state
        return MemoryStatus(
            **self._tally.entries(),
            chunks=state.chunks,
            state_bytes=self.state_bytes,
            state_bytes_used=self._used_bytes(state),
            state_hash=state_hash(state) if with_hash else '',
            tiles_resident=len(state.tiles),
            tiles_on_disk=len(state.on_disk),
            tiles_forgotten=state.forgotten_tiles,
            keyframes=len(state.evidence.keyframes),
            newest_stamp_ns=state.newest_ns,
            model=self.manifest.name,
            backend=self.runtime.name,
            map_id=self.config.map_id,
        )

    @property
    def state(self) -> MemoryState:
        """The last published state."""
        return self._state

    def restore(self, state: MemoryState) -> None:
        """Go on from a state of this memory or of one with the same model and parameters."""
        with self._write_lock:
            self._chunker.clear()
            self._percepts.clear()
            self._state = state

    @property
    def state_bytes(self) -> int:
        """Most bytes that the memory can ever hold, whatever comes: its fixed size."""
        rows, columns = window_grid(self.manifest)
        looks = rows * columns * self.manifest.embedding
        evidence = bank_bytes(self.config.evidence, self.manifest.tokens, looks)
        shared = sum(array.nbytes for array in shared_tensors(self._state).values())
        backbones = self.config.cameras * self._backbone_bytes
        return budget_bytes(self.config.tiles) + evidence + shared + backbones

    @property
    def _backbone_bytes(self) -> int:
        """Of the state of one camera."""
        return backbone_bytes(self.runtime.initial_state())

    def _used_bytes(self, state: MemoryState) -> int:
        tiles = sum(tile.nbytes for tile in state.tiles.values())
        return tiles + state.evidence.nbytes + len(state.backbones) * self._backbone_bytes

    # Inside the write lock.

    def _prepared(self, frame: Frame) -> PreparedFrame:
        self._gate.check(frame)
        camera = self._cameras.get(frame.camera)
        if camera is None or camera.intrinsics != frame.intrinsics:
            camera = CameraTokens(
                frame.intrinsics, self.manifest, depth_max_m=self.config.gate.depth_max_m
            )
            self._cameras[frame.camera] = camera
        return camera.prepare(frame)

    def _refusal(self, error: FrameRefused) -> FeedResult:
        self._tally.refuse(error.reason.value)
        return FeedResult(refused=error.reason.value, message=str(error))

    def _write(self, write: Callable[[MemoryState, list[T]], MemoryState], chunk: list[T]) -> bool:
        begin, last = time.perf_counter(), self._state
        try:
            state = write(last, chunk)
        except NotFinite as error:
            self._tally.refuse(Refusal.UPDATE_REJECTED.value, len(chunk))
            _LOG.error('update of %d frames rejected, not finite in %s', len(chunk), error)
            return False
        self._warn_of_loss(last, state)
        if time.monotonic() - self._asked_at < WARM_S:
            # Somebody asks: read what changed before it is published, so that no answer waits.
            self._reader.places(state)
        self._state = state
        self._tally.updated(1e3 * (time.perf_counter() - begin))
        return True

    def _write_pending(self, now_ns: int | None = None) -> bool:
        """Write frames and percepts that no full chunk was made of; return if there were any."""
        updates = [self._write(self._writer.write, c) for c in self._chunker.take(now_ns)]
        updates += [
            self._write(self._writer.write_percepts, c) for c in self._percepts.take(now_ns)
        ]
        return any(updates)

    def _reset(self, *, keep: Collection[TileIndex] = ()) -> None:
        """Start anew; on disk only the tiles ``keep`` stay."""
        self._gate.clear()
        self._chunker.clear()
        self._percepts.clear()
        self._shelf.clear(keep=keep)
        self._state = MemoryState.empty(self.manifest.embedding)

    def _warn_of_loss(self, before: MemoryState, after: MemoryState) -> None:
        tiles = after.forgotten_tiles - before.forgotten_tiles
        looks = after.forgotten_looks - before.forgotten_looks
        if tiles or looks:
            _LOG.warning(
                'over tiles.budget_mb %.0f: %d tiles lost their space or votes, and %d sectors '
                'their looks; raise the budget or set tiles.directory',
                self.config.tiles.budget_mb,
                tiles,
                looks,
            )

    def _snapshot_header(self) -> dict[str, Any]:
        tiles = self.config.tiles
        votes = self.config.votes
        return {
            'map_id': self.config.map_id,
            'tile_size_m': [tiles.size_m, tiles.height_m],
            'votes': [votes.rule, votes.features, votes.scale_m, *votes.names],
        }


def _keys(config: MemoryConfig, runtime: Runtime) -> dict[str, FieldKeys]:
    """Return what makes each kind of field."""
    ridge, votes = runtime.manifest.rule['ridge'], config.votes
    own = {kind: FieldKeys(omega, ridge) for kind, omega in runtime.omega.items()}
    omega = vote_frequencies(votes.features, votes.scale_m)
    return own | {'votes': FieldKeys(omega, votes.ridge)}


def _named(config: MemoryConfig, labels: tuple[str, ...]) -> MemoryConfig:
    """Return the config with the model's names where it gives none."""
    if config.votes.names:
        return config
    return replace(config, votes=replace(config.votes, labels=','.join(labels)))
