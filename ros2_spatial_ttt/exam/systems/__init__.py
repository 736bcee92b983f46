# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The systems of the exam: the memory, what it is compared with, and controls on it.

Each has ``observe(percept)`` and answers by ``query(query)`` or, where it never looks, has none
and answers by ``respond(question)``; ``stored_bytes`` and ``budget_bytes`` say what it takes. In
an exam on pixels, those with ``observe_frame(frame)`` see the frames, DETECTION_STORES what the
memory's model sees in them, and ``observe_looks(looks)`` takes how surfaces look to it. Whoever
calls measures the time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from ros2_spatial_ttt.exam.systems import controls
from ros2_spatial_ttt.exam.systems.context import SystemContext
from ros2_spatial_ttt.exam.systems.controls import AlteredMemory
from ros2_spatial_ttt.exam.systems.frames import Unlimited, Window
from ros2_spatial_ttt.exam.systems.keyframe import Keyframes
from ros2_spatial_ttt.exam.systems.memory import MemorySystem, muon_config
from ros2_spatial_ttt.exam.systems.pictures import Abstainer, NamesAndPictures, PictureStore
from ros2_spatial_ttt.exam.systems.store import DetectionStore
from ros2_spatial_ttt.exam.systems.voxel import VoxelMap
from ros2_spatial_ttt.runtime import open_runtime

if TYPE_CHECKING:
    from ros2_spatial_ttt.exam.systems.blind import Blind, Chance

__all__ = ['CONTROLS', 'DETECTION_STORES', 'EQUAL_BYTES', 'SYSTEMS', 'SystemContext']

Store = TypeVar('Store', bound=DetectionStore)


def _memory(context: SystemContext, name: str = 'memory') -> MemorySystem:
    config = context.memory_config
    if name == 'muon':
        config = muon_config(config, context.labels)
    read = replace(config.read, found_threshold=context.threshold(name))
    return MemorySystem(replace(config, read=read), name=name, runtime=context.runtime)


def _read_as_fitted(store: Store, context: SystemContext) -> Store:
    """Return a store that tells things from the confidence on that was fitted for it."""
    store.found_threshold = context.threshold(store.name)
    return store


def _window(context: SystemContext) -> Window | Abstainer:
    if not context.labels:
        return Abstainer('window')
    return _read_as_fitted(Window(context.labels, frames=context.window_frames), context)


def _voxel(context: SystemContext) -> VoxelMap | Abstainer:
    if not context.labels:
        return Abstainer('voxel')
    return _read_as_fitted(VoxelMap(context.labels, budget_bytes=context.budget), context)


def _keyframe(context: SystemContext) -> Keyframes | Abstainer:
    if not context.labels:
        return Abstainer('keyframe')
    return _read_as_fitted(Keyframes(context.labels, budget_bytes=context.budget), context)


def _unlimited(context: SystemContext) -> Unlimited | PictureStore | NamesAndPictures:
    names = _read_as_fitted(Unlimited(context.labels), context)
    if context.perception != 'model':
        return names
    config = context.memory_config
    pictures = PictureStore(
        context.runtime or open_runtime(config.model, config.backend, threads=config.threads)
    )
    return NamesAndPictures(names, pictures) if context.labels else pictures


# These are imported when needed: their module is also a command (``python -m``).


def _chance(context: SystemContext) -> Chance:
    from ros2_spatial_ttt.exam.systems.blind import Chance

    return Chance(seed=context.seed)


def _blind(context: SystemContext) -> Blind:
    from ros2_spatial_ttt.exam.systems.blind import Blind

    return Blind()


def _reset(context: SystemContext) -> AlteredMemory:
    return AlteredMemory('reset', context.fed_memory('reset'), controls.without_weights)


def _shuffled(context: SystemContext) -> AlteredMemory:
    alter = partial(controls.with_shuffled_weights, seed=context.seed)
    return AlteredMemory('shuffled', context.fed_memory('shuffled'), alter)


def _other_home(context: SystemContext) -> AlteredMemory:
    donor = controls.donor_state(
        context.memory_config,
        controls.donor_seed(context.seed),
        perception=context.perception,
        sensor=context.sensor,
        depth=context.depth,
    )
    alter = partial(controls.with_other_weights, donor=donor)
    return AlteredMemory('other_home', context.fed_memory('other_home'), alter)


# Name → constructor. Controls are views on the memory in the context.
SYSTEMS: dict[str, Callable[[SystemContext], Any]] = {
    'memory': _memory,
    'muon': partial(_memory, name='muon'),
    'window': _window,
    'voxel': _voxel,
    'keyframe': _keyframe,
    'unlimited': _unlimited,
    'chance': _chance,
    'blind': _blind,
    'reset': _reset,
    'shuffled': _shuffled,
    'other_home': _other_home,
}
CONTROLS = ('reset', 'shuffled', 'other_home')
# These get as many bytes as the memory holds in the end.
EQUAL_BYTES = ('voxel', 'keyframe')
DETECTION_STORES = ('window', 'voxel', 'keyframe', 'unlimited')
