# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""One guard around every lifecycle transition.

rclpy swallows what a transition raises; here it is logged and becomes FAILURE or ERROR.
"""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from typing import Any

from rclpy.lifecycle import TransitionCallbackReturn

from ros2_spatial_ttt.errors import SpatialTTTError

__all__ = ['guarded']

Transition = Callable[[Any, Any], TransitionCallbackReturn]


def guarded(to_state: str) -> Callable[[Callable[[Any], None]], Transition]:
    """Make a lifecycle callback ``on_*(self, state)`` from a method without arguments.

    An error that this package raises on purpose (a bad parameter, a missing model) is a
    FAILURE: the node stays in the state it was in and can try again. Anything else is an ERROR
    and leads to ``on_error``. Both are logged with the traceback.

    Args:
        to_state: name of the state after success, kept in ``self.state_name``;
            ``self.after_transition()`` is called then and must not raise.
    """

    def decorate(method: Callable[[Any], None]) -> Transition:
        @functools.wraps(method)
        def transition(self: Any, _state: Any) -> TransitionCallbackReturn:
            log = self.get_logger()
            try:
                method(self)
            except SpatialTTTError as error:
                trace = traceback.format_exc()
                log.error(f'{method.__name__} failed: {error}\n{trace}')
                return TransitionCallbackReturn.FAILURE
            except Exception:
                log.error(f'{method.__name__} hit an error:\n{traceback.format_exc()}')
                return TransitionCallbackReturn.ERROR
            self.state_name = to_state
            self.after_transition()
            log.info(f'{method.__name__} done, now {to_state}')
            return TransitionCallbackReturn.SUCCESS

        return transition

    return decorate
