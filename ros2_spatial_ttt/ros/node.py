# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The managed node /spatial_memory and its process."""

from __future__ import annotations

import ctypes
import dataclasses
import gc
import logging
import os
import signal
import sys
import threading
import traceback
from typing import Any

import rclpy
from rcl_interfaces.msg import SetParametersResult
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.lifecycle import LifecycleNode
from rclpy.signals import SignalHandlerOptions

from ros2_spatial_ttt.config import to_flat
from ros2_spatial_ttt.ros import params
from ros2_spatial_ttt.ros.guard import guarded
from ros2_spatial_ttt.ros.log_bridge import RosLogHandler
from ros2_spatial_ttt.ros.parts import Ending, Parts
from ros2_spatial_ttt.ros.settings import Settings, resolve

__all__ = ['MemoryNode', 'main']

NODE_NAME = 'spatial_memory'
# More than can be busy at once, so that a question is answered BUSY instead of waiting.
THREADS = 12
# The executor, the worker and questions share the interpreter lock, and each message takes the
# lock some ten times. At Python's 5 ms every one of them waited for the worker: an update took
# 1.3 s instead of 0.25 s and answers up to 1.2 s instead of 0.05 s.
SWITCH_S = 0.0005
# Parameter of mallopt: number of heaps (malloc.h).
_M_ARENA_MAX = -8
# The process must be gone 2 s after a signal; the interpreter needs some of it to end.
SIGNAL_S, EXECUTOR_S, WORKER_S, GIVE_UP_S = 0.1, 0.3, 0.7, 1.7


class MemoryNode(LifecycleNode):
    """A spatial memory behind topics and services; see docs and ``config/memory.yaml``.

    Args:
        arguments: passed on to rclpy's node, such as ``parameter_overrides``.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(
            NODE_NAME, automatically_declare_parameters_from_overrides=True, **arguments
        )
        self.state_name = 'unconfigured'
        self._parts: Parts | None = None
        params.declare(self)
        self.add_on_set_parameters_callback(self._on_parameters)

    @guarded('inactive')
    def on_configure(self) -> None:
        """Read the parameters; build the memory, its services and publishers."""
        params.declare(self)
        settings = resolve(params.given_values(self))
        self.get_logger().info(f'parameters: {_one_line(settings)}')
        self._parts = Parts(self, settings)

    @guarded('active')
    def on_activate(self) -> None:
        """Subscribe the cameras."""
        self._parts.start()

    @guarded('inactive')
    def on_deactivate(self) -> None:
        """Unsubscribe the cameras; questions are still answered."""
        self._parts.stop()

    @guarded('unconfigured')
    def on_cleanup(self) -> None:
        """Release what configure built."""
        if not self._release().worker_ended:
            raise RuntimeError('the update in flight did not end; its thread still runs')

    @guarded('finalized')
    def on_shutdown(self) -> None:
        """Write the last snapshot, if one is configured, and release everything."""
        self._release(save_last=True)

    @guarded('unconfigured')
    def on_error(self) -> None:
        """Release everything after an unexpected error; the node can be configured again."""
        self._release()

    def after_transition(self) -> None:
        """Tell the new state at once instead of with the next period."""
        if self._parts is not None:
            self._parts.report()

    def finish(self, *, timeout_s: float) -> Ending:
        """End at a signal, outside of a transition."""
        return self._release(save_last=True, timeout_s=timeout_s)

    def _release(self, **options: Any) -> Ending:
        parts, self._parts = self._parts, None
        ending = Ending() if parts is None else parts.close(**options)
        del parts
        _return_memory()
        return ending

    def _on_parameters(self, parameters: list[Any]) -> SetParametersResult:
        fixed = [item.name for item in parameters if params.is_own(item.name)]
        if self._parts is None or not fixed:
            return SetParametersResult(successful=True)
        return SetParametersResult(
            successful=False,
            reason=f'{", ".join(fixed)}: fixed while configured; clean up first, then set it',
        )


def main(args: list[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM; returns the exit code of the process."""
    _bound_heaps()
    sys.setswitchinterval(SWITCH_S)
    asked_to_end = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked_to_end.set())
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    node = MemoryNode()
    log = logging.getLogger('ros2_spatial_ttt')
    log.addHandler(RosLogHandler(node.get_logger()))
    # Python drops what is no warning, such as which backend was chosen; ROS has levels of its own.
    log.setLevel(logging.INFO)
    executor = MultiThreadedExecutor(num_threads=THREADS)
    executor.add_node(node)
    spinner = threading.Thread(target=_spin, args=(executor, node, asked_to_end), name='spin')
    spinner.start()
    # Without a timeout, a signal between two instructions of wait() would not be noticed.
    while not asked_to_end.wait(SIGNAL_S):
        pass
    # A transition, an update or a library that hangs must not keep the process.
    threading.Thread(target=_give_up, daemon=True).start()
    executor.shutdown(timeout_sec=EXECUTOR_S)
    ending = node.finish(timeout_s=WORKER_S)
    code = 0 if ending.saved else 1
    spinner.join()
    node.destroy_node()
    rclpy.try_shutdown()
    if not ending.worker_ended:
        # The interpreter would abort while that thread is inside the runtime.
        _exit_now(code)
    return code


def _spin(executor: Any, node: MemoryNode, asked_to_end: threading.Event) -> None:
    """Spin until asked to end; an exception of a callback is logged and the node goes on."""
    while not asked_to_end.is_set() and executor.context.ok():
        try:
            executor.spin_once()
        except ExternalShutdownException:
            break
        except Exception:
            node.get_logger().error(f'a callback failed:\n{traceback.format_exc()}')
    asked_to_end.set()


def _bound_heaps() -> None:
    """Let all threads share two heaps of glibc.

    By default each thread may get one of its own, sixteen on two cores, and each keeps pieces of
    every memory that was ever configured in it.
    """
    tune = getattr(ctypes.CDLL(None), 'mallopt', None)
    if tune is not None:
        tune(_M_ARENA_MAX, 2)


def _return_memory() -> None:
    """Give what the parts held back to the system.

    They know each other, so only the collector frees them; and each thread that ever built a
    memory keeps the freed pages in an arena of its own, until glibc is told otherwise.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None)
    if trim is not None:
        trim(0)


def _give_up() -> None:
    threading.Event().wait(GIVE_UP_S)
    print(f'{NODE_NAME}: not finished {GIVE_UP_S} s after the signal, ending', file=sys.stderr)
    _exit_now(1)


def _exit_now(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _one_line(settings: Settings) -> str:
    values = to_flat(settings.node)
    for name, camera in settings.cameras.items():
        for key, value in dataclasses.asdict(camera).items():
            values[f'camera.{name}.{key}'] = value
    return ', '.join(f'{name}={value!r}' for name, value in values.items())


if __name__ == '__main__':
    sys.exit(main())
