# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The memory as a system of the exam, the controls on it, and systems on pixels."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from toy_room import FURNITURE, LABELS, SECOND, Thing, ask, fed, look, walk

from ros2_spatial_ttt.config import MemoryConfig, from_flat
from ros2_spatial_ttt.exam.patch.pictures import cut_patches
from ros2_spatial_ttt.exam.systems import SYSTEMS, SystemContext, controls
from ros2_spatial_ttt.exam.systems.controls import (
    AlteredMemory,
    with_other_weights,
    with_shuffled_weights,
    without_weights,
)
from ros2_spatial_ttt.exam.systems.eyes import open_eyes
from ros2_spatial_ttt.exam.systems.memory import muon_config
from ros2_spatial_ttt.memory.field import PackedField
from ros2_spatial_ttt.memory.state import state_hash
from ros2_spatial_ttt.memory.votes import empty_votes
from ros2_spatial_ttt.runtime import open_runtime
from ros2_spatial_ttt.sim.room import boxes
from ros2_spatial_ttt.sim.sensor import CLEAN, REALISTIC
from ros2_spatial_ttt.sim.world import CATEGORIES
from ros2_spatial_ttt.types import Example, Frame, Query, QueryType, ResultCode


@pytest.fixture(scope='module')
def config() -> MemoryConfig:
    pytest.importorskip('onnxruntime', reason='the memory needs a runtime')
    return from_flat(
        MemoryConfig, {'backend': 'ort', 'threads': 1, 'votes.labels': ','.join(LABELS)}
    )


def counts(system) -> dict[str, float]:
    answers = {label: ask(system, QueryType.COUNT, label) for label in LABELS}
    return {k: a.value if a.code == ResultCode.OK else 0.0 for k, a in answers.items()}


TRUE_COUNTS = {'chair': 3.0, 'table': 1.0, 'mug': 0.0, 'lamp': 0.0, 'box': 1.0}


@pytest.mark.ort
def test_controls_bring_a_perfect_memory_to_nothing(config):
    memory = SYSTEMS['memory'](SystemContext(memory_config=config))
    context = SystemContext(memory_config=config, memory=memory, seed=3)
    things = (
        Thing('mug', (2.0, 0.3, 0.5), (0.3, 0.3, 0.3)),
        Thing('lamp', (-2, 0, 0.7), (1, 1, 1)),
    )
    other = fed(SYSTEMS['memory'](SystemContext(memory_config=config)), walk(24, things))
    other.settle()
    views = [
        SYSTEMS['reset'](context),
        SYSTEMS['shuffled'](context),
        AlteredMemory('other_home', memory, partial(with_other_weights, donor=other.memory.state)),
    ]
    for percept in walk(24):
        memory.observe(percept)
        for view in views:
            view.observe(percept)
    before = memory.memory.status(with_hash=True).state_hash
    assert counts(memory) == TRUE_COUNTS  # with the pending frames
    for view in views:
        assert not any(counts(view)[label] for label in ('chair', 'table', 'box')), view.name
        assert view.stored_bytes == memory.stored_bytes
    assert counts(memory) == TRUE_COUNTS  # a control alters nothing of the memory
    assert before != memory.memory.status(with_hash=True).state_hash  # the flush, not a control

    # Later questions see later states.
    fed(memory, (look(10**12 + i * SECOND, (0.0, 0.0), 0.37 * i, FURNITURE) for i in range(8)))
    assert counts(memory)['table'] == 1.0 and not any(counts(views[0]).values())


@pytest.mark.ort
def test_controls_keep_places_and_change_every_field(config):
    memory = fed(SYSTEMS['memory'](SystemContext(memory_config=config)), walk(8))
    memory.settle()
    state = memory.memory.state
    zero, mixed = without_weights(state), with_shuffled_weights(state, seed=1)
    again = with_shuffled_weights(state, seed=1)
    for index, tile in state.tiles.items():
        for altered in (zero, mixed):
            assert altered.tiles[index].places is tile.places
            assert altered.tiles[index].vote_places is tile.vote_places
        assert not any(part.weight.any() for part in zero.tiles[index].fields())
        parts = zip(
            tile.fields(), mixed.tiles[index].fields(), again.tiles[index].fields(), strict=True
        )
        for own, other, same in parts:
            np.testing.assert_array_equal(
                np.sort(own.weight, axis=0), np.sort(other.weight, axis=0)
            )
            assert not own.weight.any() or not np.array_equal(own.weight, other.weight)
            np.testing.assert_array_equal(other.weight, same.weight)


@pytest.mark.ort
def test_muon_has_the_bytes_that_curvature_takes(config):
    muon = muon_config(config, config.votes.names)
    assert muon.votes.rule == 'muon'
    own, published = (
        PackedField.of(empty_votes(c.votes), c.votes.ridge, forgets=True).nbytes
        for c in (config, muon)
    )
    assert 0.98 * own < published <= own
    system = SYSTEMS['muon'](SystemContext(memory_config=config))
    assert counts(fed(system, walk(24)))['table'] == 1.0


@pytest.mark.ort
def test_with_pixels_unlimited_is_a_store_of_features(config):
    scene, camera = boxes.make_scene(3), boxes.camera_intrinsics()
    config = replace(config, model='untrained')  # knows no names
    store = SYSTEMS['unlimited'](
        SystemContext(memory_config=config, perception='model', labels=())
    )
    picture = Example(np.zeros((96, 96, 3), np.uint8))
    asked = Query(QueryType.LOCATE, examples=(picture,))
    assert store.query(asked).code == ResultCode.NEVER_OBSERVED
    eyes = open_eyes(config, open_runtime(config.model, config.backend, threads=1))
    for number, pose in enumerate(boxes.make_tour(scene, 200, 3)[:3]):
        colour, depth_m, _ = boxes.render(scene, camera, pose)
        frame = Frame('camera', number * 5 * 10**8, colour, depth_m, camera, pose)
        assert not eyes.percepts(frame), 'a chunk is not full yet'
    *percepts, looks = eyes.flush()
    assert len(percepts) == 3 and len(looks.points) == sum(len(p.surface) for p in percepts)
    store.observe_looks(looks)
    patch = cut_patches(frame, 2, count=1, seed=0)[0]
    found = store.query(replace(asked, examples=(Example(patch.picture),)))
    assert found.code == ResultCode.OK
    assert np.linalg.norm(found.instances[0].position - patch.point) < 0.5
    whole = Example(np.pad(patch.picture, ((10, 0), (20, 0), (0, 0))), roi=(20, 10, 96, 96))
    same = store.query(replace(asked, examples=(whole,)))
    np.testing.assert_array_equal(same.instances[0].position, found.instances[0].position)
    assert ask(store, QueryType.LOCATE, 'chair').code == ResultCode.BAD_REQUEST
    assert store.stored_bytes > 0


@pytest.mark.ort
def test_the_other_home_is_seen_by_the_same_sensor(config, monkeypatch):
    pytest.importorskip('mujoco', reason='homes need MuJoCo')
    monkeypatch.setattr(controls, '_DONOR_MINUTES', 0.2)
    config = replace(config, votes=replace(config.votes, labels=','.join(CATEGORIES)))

    def donated(sensor):
        state = controls.donor_state(config, 11, perception='oracle', sensor=sensor)
        return controls.donor_state(config, 11, perception='oracle', sensor=sensor), state

    (clean, again), (noisy, _) = (donated(sensor) for sensor in (CLEAN, REALISTIC))
    assert clean is again, 'made once for all homes of a process'
    assert clean.tiles and state_hash(clean) != state_hash(noisy)
