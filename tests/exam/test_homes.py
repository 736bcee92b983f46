# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""One home: when questions come, what systems are given, what is kept of it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip('mujoco', reason='homes need MuJoCo')
pytest.importorskip('onnxruntime', reason='the memory needs a runtime')

from ros2_spatial_ttt.exam import homes  # noqa: E402
from ros2_spatial_ttt.exam.codec import HomeResult  # noqa: E402
from ros2_spatial_ttt.exam.question import Question, Response  # noqa: E402
from ros2_spatial_ttt.geometry import matrix_from_quaternion, message_quaternion  # noqa: E402
from ros2_spatial_ttt.types import Percept  # noqa: E402

pytestmark = pytest.mark.ort


class Witness:
    """A system that notes what happens to it."""

    stored_bytes = 5

    def __init__(self, context: homes.SystemContext) -> None:
        self.context = context
        self.seen_ns: list[int] = []
        self.asked: list[tuple[Question, int]] = []

    def observe(self, percept: Percept) -> None:
        self.seen_ns.append(percept.stamp_ns)

    def respond(self, question: Question) -> Response:
        self.asked.append((question, len(self.seen_ns)))
        return Response(confidence=0.5)


@pytest.fixture(scope='module')
def examined(tiny) -> tuple[HomeResult, Witness]:
    made = []

    def witness(context: homes.SystemContext) -> Witness:
        made.append(Witness(context))
        return made[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(homes.SYSTEMS, 'voxel', witness)
        options = dataclasses.replace(tiny, systems=('voxel', 'memory', 'reset'))
        ticks: list[int] = []
        result = homes.examine_home(7, options, tick=ticks.append)
    assert ticks == list(range(1, result.frames + 1))
    return result, made[0]


def test_a_question_comes_after_the_frames_up_to_its_time_and_before_the_next(examined) -> None:
    _, witness = examined
    assert witness.asked
    stamps = [*witness.seen_ns, np.inf]
    for question, seen in witness.asked:
        assert stamps[seen - 1] <= question.ask_ns < stamps[seen]


def test_every_frame_comes_once_and_in_order(examined) -> None:
    result, witness = examined
    assert len(witness.seen_ns) == result.frames == 120
    assert witness.seen_ns == sorted(set(witness.seen_ns))
    assert result.begin_ns == witness.seen_ns[0]


def test_all_systems_answer_all_questions_in_their_order(examined) -> None:
    result, witness = examined
    assert list(result.systems) == ['voxel', 'memory', 'reset']
    assert [question for question, _ in witness.asked] == list(result.questions)
    assert {len(system.responses) for system in result.systems.values()} == {len(result.questions)}
    assert all(r.confidence == 0.5 and r.seconds > 0 for r in result.systems['voxel'].responses)


def test_stores_get_the_bytes_that_the_memory_holds(examined) -> None:
    result, witness = examined
    assert witness.context.budget_bytes == result.systems['memory'].stored_bytes > 0
    assert result.systems['voxel'].stored_bytes == Witness.stored_bytes


def test_plan_holds_the_home_at_the_end(examined) -> None:
    result, _ = examined
    assert len(result.plan.rooms) == 1 and len(result.plan.things) > 3
    corners = np.array(result.plan.rooms[0][1])
    path = np.array(result.plan.path)
    assert (path >= corners.min(axis=0)).all() and (path <= corners.max(axis=0)).all()


def test_controls_are_fed_also_without_the_memory_under_exam(tiny) -> None:
    options = dataclasses.replace(tiny, sets=('locate',), systems=('reset',))
    result = homes.examine_home(7, options)
    assert list(result.systems) == ['reset']
    assert result.systems['reset'].stored_bytes > 0


def test_a_pose_does_not_change_any_more_after_one_message() -> None:
    rng = np.random.default_rng(0)
    for quaternion in rng.normal(size=(200, 4)):
        rotation = matrix_from_quaternion(quaternion)
        once = matrix_from_quaternion(message_quaternion(rotation))
        np.testing.assert_allclose(once, rotation, atol=1e-8)
        assert np.array_equal(matrix_from_quaternion(message_quaternion(once)), once)
