# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""~/query: always an answer with a result code and a sentence, never a wait for an update."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.errors import BadRequest
from ros2_spatial_ttt.geometry import invert_transform
from ros2_spatial_ttt.ros.frames import Frames, plain_name
from ros2_spatial_ttt.ros.messages import fill_response
from ros2_spatial_ttt.ros.requests import query_from_request
from ros2_spatial_ttt.types import Answer, Intrinsics, Query, QueryType, ResultCode

__all__ = ['Questions']


class Questions:
    """Answers SpatialQuery requests, a bounded number at a time.

    Args:
        memory: the ``SpatialMemory``.
        frames: transforms of requests and answers.
        newest_pose: returns (4, 4) map_T_camera now and its age in seconds, or None.
        max_age_s: a pose older than this is not 'now'.
        intrinsics: returns those of the camera with an optical frame ('' = the first), or None.
        at_once: questions answered at the same time.
        on_answer: told every answer, in the map frame.
        log: a ROS logger.
    """

    def __init__(
        self,
        memory: Any,
        frames: Frames,
        *,
        newest_pose: Callable[[], tuple[NDArray[np.float64], float] | None],
        max_age_s: float,
        intrinsics: Callable[[str], Intrinsics | None],
        at_once: int,
        on_answer: Callable[[Answer], None],
        log: Any,
    ) -> None:
        self._memory = memory
        self._frames = frames
        self._newest_pose = newest_pose
        self._max_age_s = max_age_s
        self._intrinsics = intrinsics
        self._at_once = at_once
        self._slots = threading.Semaphore(at_once)
        self._on_answer = on_answer
        self._log = log

    def __call__(self, request: Any, response: Any) -> Any:
        """Fill the response; never raises."""
        start_s = time.perf_counter()
        response.value = response.value_low = response.value_high = float('nan')
        if not self._slots.acquire(blocking=False):
            _fail(
                response,
                ResultCode.BUSY,
                f'{self._at_once} questions are being answered; ask again, or raise '
                'questions.at_once',
            )
            return response
        try:
            self._answer(request, response)
        except BadRequest as error:
            _fail(response, ResultCode.BAD_REQUEST, str(error))
        except Exception as error:
            self._log.error(f'a question failed:\n{traceback.format_exc()}')
            _fail(
                response,
                ResultCode.INTERNAL,
                f"{type(error).__name__}: {error}; the node's log has the traceback",
            )
        finally:
            self._slots.release()
        response.latency_ms = (time.perf_counter() - start_s) * 1e3
        return response

    def _answer(self, request: Any, response: Any) -> None:
        frame_id = plain_name(request.frame_id) or self._frames.map_frame
        frame_T_map = invert_transform(self._frames.map_T(frame_id))
        query = query_from_request(
            request, self._frames, here=self._here, intrinsics=self._intrinsics
        )
        if query.viewpoint is None and _needs_observer(query):
            _fail(response, ResultCode.NOT_LOCALIZED, self._lost(query))
            return
        answer = self._memory.query(query)
        fill_response(response, answer, frame_id=frame_id, frame_T_map=frame_T_map)
        if answer.instances:
            self._on_answer(answer)

    def _here(self) -> NDArray[np.float64] | None:
        newest = self._newest_pose()
        return newest[0] if newest is not None and newest[1] <= self._max_age_s else None

    def _lost(self, query: Query) -> str:
        newest = self._newest_pose()
        if newest is None:
            why = 'no pose has come yet'
        else:
            why = f'its newest pose is {newest[1]:.1f} s old, expected at most {self._max_age_s} s'
        return (
            f'{query.type.name} from the robot, but where it is is not known: {why}; check '
            'pose.source, or give a viewpoint with a frame_id'
        )


def _needs_observer(query: Query) -> bool:
    """Return whether the question means nothing without an observer."""
    things = len(query.labels) + len(query.examples)
    if query.type is QueryType.DESCRIBE:
        return things == 0 and query.region is None
    # NEAREST of several things is nearest to the first of them.
    return query.type is QueryType.DIRECTION or (query.type is QueryType.NEAREST and things < 2)


def _fail(response: Any, code: ResultCode, message: str) -> None:
    response.result_code = int(code)
    response.message = message
