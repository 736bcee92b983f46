# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The model's perception is run once for all systems that keep named things.

No model knows names yet, so the simulator's perfect detector stands in for the model's look at a
chunk; gate, chunks, systems and exam are the real ones.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip('mujoco', reason='homes need MuJoCo')
pytest.importorskip('onnxruntime', reason='the memory needs a runtime')

from ros2_spatial_ttt.config import MemoryConfig  # noqa: E402
from ros2_spatial_ttt.exam import homes  # noqa: E402
from ros2_spatial_ttt.exam.options import HomeOptions  # noqa: E402
from ros2_spatial_ttt.exam.systems import SYSTEMS, SystemContext  # noqa: E402
from ros2_spatial_ttt.exam.systems.eyes import Looks, ModelEyes, Seen, open_eyes  # noqa: E402
from ros2_spatial_ttt.geometry import transform_points  # noqa: E402
from ros2_spatial_ttt.memory.pipeline import SpatialMemory  # noqa: E402
from ros2_spatial_ttt.memory.preprocess import PreparedFrame  # noqa: E402
from ros2_spatial_ttt.resources import model_directory  # noqa: E402
from ros2_spatial_ttt.runtime import Runtime, open_runtime  # noqa: E402
from ros2_spatial_ttt.runtime.base import load_manifest  # noqa: E402
from ros2_spatial_ttt.runtime.ort import OrtRuntime  # noqa: E402
from ros2_spatial_ttt.sim.episode import make_episode  # noqa: E402
from ros2_spatial_ttt.sim.percepts import percepts  # noqa: E402
from ros2_spatial_ttt.sim.room import boxes  # noqa: E402
from ros2_spatial_ttt.sim.world import CATEGORIES  # noqa: E402
from ros2_spatial_ttt.types import Example, Percept, Query, QueryType, ResultCode  # noqa: E402

pytestmark = pytest.mark.ort

SEED, STORES = 7, ('window', 'voxel', 'keyframe', 'unlimited')
CONFIG = MemoryConfig()


def nothing_seen(frame: PreparedFrame) -> Percept:
    none = np.zeros((0, 3))
    return Percept(
        frame.camera,
        frame.stamp_ns,
        frame.map_T_camera,
        labels=(),
        centre=none,
        size=none,
        yaw=np.zeros(0),
        weight=np.zeros(0),
        surface=none,
        free=none,
    )


def test_chunks_are_those_of_the_memory():
    chunks: list[int] = []

    def look(chunk: list[PreparedFrame]) -> list[Percept]:
        chunks.append(len(chunk))
        return [nothing_seen(frame) for frame in chunk]

    memory = SpatialMemory(CONFIG)
    eyes = ModelEyes(CONFIG, memory.manifest, look)
    frames = list(boxes.frames(3, 24, width=160, height=120))
    frames.insert(10, frames[9])  # a repeated stamp, which both refuse
    grey = dataclasses.replace(frames[14], colour=np.full_like(frames[14].colour, 90))
    frames[14] = grey
    told = []
    for number, frame in enumerate(frames):
        found = eyes.percepts(frame)
        assert bool(found) == memory.feed_frame(frame).chunk_updated, number
        told += found
        if number == 12:
            told += eyes.flush()
            memory.flush()
    told += eyes.flush()
    memory.flush()
    status = memory.status()
    assert status.refused and len(told) == status.frames_accepted
    assert len(chunks) == status.chunks
    assert [p.stamp_ns for p in told] == sorted({p.stamp_ns for p in told})


def test_a_model_tells_what_it_sees_of_every_frame():
    frames = list(boxes.frames(3, 8, width=160, height=120))
    eyes = open_eyes(CONFIG, open_runtime(CONFIG.model, CONFIG.backend, threads=1))
    seen = [item for frame in frames for item in eyes.percepts(frame)] + eyes.flush()
    told = [item for item in seen if isinstance(item, Percept)]
    looks = [item for item in seen if not isinstance(item, Percept)]
    surface = [transform_points(p.map_T_camera, p.surface) for p in told]
    np.testing.assert_allclose(
        np.concatenate([look.points for look in looks]), np.concatenate(surface), atol=1e-6
    )
    norms = np.concatenate([np.linalg.norm(look.embedding, axis=1) for look in looks])
    assert len(norms) == sum(map(len, surface)) and norms.min() > 0.5
    assert [percept.stamp_ns for percept in told] == [frame.stamp_ns for frame in frames]
    for percept, frame in zip(told, frames, strict=True):
        ahead = percept.surface[:, 2]
        assert len(ahead) > 20 and abs(np.median(ahead) - np.median(frame.depth)) < 0.5
        assert len(percept.free) > 20


@pytest.mark.parametrize(
    ('labels', 'by_name'), [((), 'BAD_REQUEST'), (CATEGORIES, 'NEVER_OBSERVED')]
)
def test_unlimited_knows_pictures_and_where_there_are_any_names(labels, by_name):
    unlimited = SYSTEMS['unlimited'](SystemContext(perception='model', labels=labels))
    example = Example(np.zeros((48, 48, 3), np.uint8))
    for asked, code in (
        ({'labels': ('chair',)}, by_name),
        ({'examples': (example,)}, 'NEVER_OBSERVED'),
    ):
        assert unlimited.query(Query(QueryType.LOCATE, **asked)).code == ResultCode[code]


@pytest.fixture
def all_seeing(monkeypatch: pytest.MonkeyPatch):
    """A model that sees what the perfect detector says; returns the chunks that it looked at."""
    looked: list[list[int]] = []

    def eyes_of(config: MemoryConfig, runtime: Runtime) -> ModelEyes:
        episode = make_episode(SEED, minutes=0.4, rooms=1)
        truth = {percept.stamp_ns: percept for percept in percepts(episode)}
        manifest = load_manifest(model_directory(config.model))
        width = manifest.embedding

        def look(chunk: list[PreparedFrame]) -> list[Seen]:
            looked.append([frame.stamp_ns for frame in chunk])
            looks = Looks(chunk[-1].stamp_ns, np.zeros((1, 3)), np.ones((1, width), np.float32))
            return [*(truth[frame.stamp_ns] for frame in chunk), looks]

        return ModelEyes(config, manifest, look)

    monkeypatch.setattr(homes, 'open_eyes', eyes_of)
    monkeypatch.setattr(homes, 'model_labels', lambda model: CATEGORIES)
    return looked


@pytest.mark.sim
def test_every_store_gets_what_the_model_sees(all_seeing, renderer: str):
    options = HomeOptions(
        sets=('locate', 'verdict'), minutes=0.4, rooms=1, perception='model', systems=STORES
    )
    result = homes.examine_home(SEED, options)
    stamps = [stamp for chunk in all_seeing for stamp in chunk]
    assert stamps == sorted(set(stamps)), 'each frame is looked at once, whatever the systems'
    assert len(stamps) > 0.6 * result.frames

    def answered(system: str, kind: str) -> float:
        pairs = zip(result.questions, result.systems[system].responses, strict=True)
        own = [response for question, response in pairs if question.kind == kind]
        return sum(r.verdict == ResultCode.OK and len(r.places) > 0 for r in own) / len(own)

    for system in STORES:
        assert answered(system, 'locate') > 0.5, system
        assert result.systems[system].stored_bytes > 0
    assert answered('unlimited', 'locate_picture') == 1.0
    assert answered('voxel', 'locate_picture') == 0.0


@pytest.mark.sim
def test_a_chunk_is_encoded_once_whoever_lives_on_it(monkeypatch, renderer: str):
    encoded: list[int] = []
    states: dict[str, list[str]] = {}
    encode, result = OrtRuntime.encode, homes._Candidate.result

    def counted(self: OrtRuntime, chunk, state):
        encoded.append(int(chunk.frame_valid.sum()))
        return encode(self, chunk, state)

    def hashed(self):
        memory = getattr(self._system, 'memory', None)
        if memory is not None:
            states.setdefault(self.name, []).append(memory.status(with_hash=True).state_hash)
        return result(self)

    monkeypatch.setattr(OrtRuntime, 'encode', counted)
    monkeypatch.setattr(homes._Candidate, 'result', hashed)
    options = HomeOptions(
        sets=('verdict',), minutes=0.2, rooms=1, perception='model', systems=('memory',)
    )
    frames = homes.examine_home(SEED, options).frames
    assert sum(encoded) <= frames
    chunks, alone = encoded.copy(), states.pop('memory')
    encoded.clear()
    more = dataclasses.replace(options, systems=('memory', 'muon', 'voxel', 'unlimited'))
    homes.examine_home(SEED, more)
    assert encoded == chunks
    assert states['memory'] == alone, 'others take nothing away from it'
