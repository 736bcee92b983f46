# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Everything that exists between configure and cleanup, built in order and released in reverse."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType, JumpThreshold
from rclpy.duration import Duration
from std_srvs.srv import Trigger

from ros2_spatial_ttt.memory.pipeline import SpatialMemory
from ros2_spatial_ttt.ros.commands import Commands, snapshot_path
from ros2_spatial_ttt.ros.frames import Frames
from ros2_spatial_ttt.ros.intake import Intake
from ros2_spatial_ttt.ros.pose_source import PoseSource, TfPoses, TopicPoses
from ros2_spatial_ttt.ros.publishers import Publishers
from ros2_spatial_ttt.ros.qos import OVERRIDABLE, POSES, REQUESTS
from ros2_spatial_ttt.ros.questions import Questions
from ros2_spatial_ttt.ros.refusals import Refusals
from ros2_spatial_ttt.ros.settings import Settings
from ros2_spatial_ttt.ros.watch import Watches
from ros2_spatial_ttt.ros.worker import Worker, yield_to_others
from spatial_ttt.srv import ForgetMemory, LoadMemory, SaveMemory, SpatialQuery, WatchObject

__all__ = ['Ending', 'Parts']

CLEANUP_S = 10.0


@dataclass(frozen=True)
class Ending:
    """How closing went: whether a snapshot that was due is on disk, and the worker is gone."""

    saved: bool = True
    worker_ended: bool = True


class Parts:
    """The configured node: memory, worker, intake, services, timers and publishers.

    Args:
        node: the ROS node; has ``state_name``.
        settings: the resolved parameters.

    Raises:
        SpatialTTTError: a model, snapshot or source of poses cannot be used.
    """

    def __init__(self, node: Any, settings: Settings) -> None:
        self._node = node
        self._settings = settings
        self._log = node.get_logger()
        self._save_last = False
        self._ending = Ending()
        self._stop_s = CLEANUP_S
        # The status comes from a timer and after transitions.
        self._reporting = threading.Lock()
        with ExitStack() as stack:
            self._build_memory(stack)
            self._build_intake(stack)
            self._build_services(stack)
            self._build_timers(stack)
            self._stack = stack.pop_all()

    def start(self) -> None:
        """Let camera messages in."""
        self._intake.start()

    def stop(self) -> None:
        """Keep camera messages out; what came so far enters the memory."""
        self._intake.stop()
        self._worker.flush()

    def report(self) -> None:
        """Publish ~/status and /diagnostics; an error is logged."""
        self._logged(self._report)()

    def close(self, *, save_last: bool = False, timeout_s: float = CLEANUP_S) -> Ending:
        """Release everything in reverse order.

        Args:
            save_last: write the snapshot of ``snapshot.on_shutdown``, if one is named.
            timeout_s: how long to wait for the worker.
        """
        self._save_last, self._stop_s = save_last, timeout_s
        self._stack.close()
        return self._ending

    def _build_memory(self, stack: ExitStack) -> None:
        config = self._settings.node
        self._frames = Frames(
            self._node,
            map_frame=config.map_frame,
            follow=config.tf_requests,
            required=config.pose.source == 'tf',
        )
        stack.callback(self._frames.close)
        # The runtime starts its threads here: in a thread that yields, so that they do too.
        with ThreadPoolExecutor(1, initializer=yield_to_others) as background:
            self._memory = background.submit(SpatialMemory, config.memory).result()
        self._load_at_start()
        self._refusals = Refusals(self._memory, self._log)
        self._publishers = Publishers(self._node, self._memory, map_frame=config.map_frame)
        stack.callback(self._publishers.close)
        self._watches = Watches(
            self._memory,
            self._frames,
            moved_m=config.watch.moved_m,
            confirm=config.watch.confirm,
            publish=self._publishers.event,
            log=self._log,
        )
        self._commands = Commands(
            self._memory,
            self._frames,
            directory=config.snapshot.directory,
            on_change=self._on_change,
            log=self._log,
        )
        self._worker = Worker(
            self._memory,
            length=config.queue.length,
            refusals=self._refusals,
            on_update=self._watches.note_update,
            log=self._log,
        )
        stack.callback(self._stop_worker)

    def _load_at_start(self) -> None:
        snapshot = self._settings.node.snapshot
        if not snapshot.load_at_start:
            return
        path = snapshot_path(snapshot.directory, snapshot.load_at_start)
        if path.is_file():
            self._memory.load(path)
            self._log.info(f'loaded {path}')
        else:
            self._log.warning(f'snapshot.load_at_start: there is no {path}; starting empty')

    def _build_intake(self, stack: ExitStack) -> None:
        poses, message = self._pose_source()
        self._intake = Intake(
            self._node,
            self._settings,
            poses=poses,
            refusals=self._refusals,
            put=self._worker.put,
        )
        stack.callback(self._intake.stop)
        if message is not None:
            subscription = self._node.create_subscription(
                message,
                self._settings.node.pose.topic,
                self._intake.add_pose,
                POSES,
                callback_group=MutuallyExclusiveCallbackGroup(),
                qos_overriding_options=OVERRIDABLE,
            )
            stack.callback(self._node.destroy_subscription, subscription)
        threshold = JumpThreshold(
            min_forward=None,
            min_backward=Duration(seconds=-self._settings.node.memory.gate.time_jump_s),
            on_clock_change=True,
        )
        jump = self._node.get_clock().create_jump_callback(
            threshold, post_callback=lambda _jump: self._intake.note_jump()
        )
        stack.callback(jump.unregister)

    def _pose_source(self) -> tuple[PoseSource, type | None]:
        """Return the source and the message type of its topic, if it has one of its own."""
        config = self._settings.node
        if config.pose.source == 'tf':
            return TfPoses(self._frames, now_ns=self._ros_now_ns), None
        poses = TopicPoses(
            config.pose,
            map_frame=config.map_frame,
            refusals=self._refusals,
            now_ns=self._ros_now_ns,
        )
        return poses, Odometry if config.pose.source == 'odometry' else PoseStamped

    def _build_services(self, stack: ExitStack) -> None:
        config = self._settings.node
        questions = Questions(
            self._memory,
            self._frames,
            newest_pose=self._intake.newest_pose,
            max_age_s=config.pose.viewpoint_max_age_s,
            intrinsics=self._intake.intrinsics_of,
            at_once=config.questions.at_once,
            on_answer=self._publishers.objects,
            log=self._log,
        )
        # Questions run beside each other and beside everything else; commands one by one.
        together, alone = ReentrantCallbackGroup(), MutuallyExclusiveCallbackGroup()
        commands = self._commands
        for kind, name, handler, group in (
            (SpatialQuery, '~/query', questions, together),
            (SaveMemory, '~/save', commands.save, alone),
            (LoadMemory, '~/load', commands.load, alone),
            (ForgetMemory, '~/forget', commands.forget, alone),
            (Trigger, '~/reset', commands.reset, alone),
            (WatchObject, '~/watch', self._watches.handle, MutuallyExclusiveCallbackGroup()),
        ):
            service = self._node.create_service(
                kind, name, handler, qos_profile=REQUESTS, callback_group=group
            )
            stack.callback(self._node.destroy_service, service)

    def _build_timers(self, stack: ExitStack) -> None:
        config = self._settings.node
        # Wall time: a paused simulation must not silence the node.
        clock = Clock(clock_type=ClockType.STEADY_TIME)
        for period_s, work in (
            (config.flush.period_s, self._poll),
            (config.status.period_s, self._report),
            (config.field.period_s, self._publishers.field),
            (config.watch.period_s, self._watches.look),
        ):
            timer = self._node.create_timer(
                period_s,
                self._logged(work),
                callback_group=MutuallyExclusiveCallbackGroup(),
                clock=clock,
            )
            stack.callback(self._node.destroy_timer, timer)

    def _logged(self, work: Callable[[], None]) -> Callable[[], None]:
        """Keep an error of a timer from ending the executor."""

        def run() -> None:
            try:
                work()
            except Exception:
                self._log.error(
                    f'{work.__name__} failed:\n{traceback.format_exc()}',
                    throttle_duration_sec=10.0,
                )

        return run

    def _poll(self) -> None:
        self._intake.poll()
        now_ns = self._intake.now_ns()
        if now_ns:
            self._worker.flush(now_ns - int(self._settings.node.flush.grace_s * 1e9))

    def _report(self) -> None:
        state, worker = self._node.state_name, self._worker
        with self._reporting:
            status = self._publishers.status(
                state=state, queue_length=len(worker), with_hash=self._settings.node.status.hash
            )
            self._publishers.diagnostics(status, state=state, worker=worker)

    def _on_change(self) -> None:
        self._publishers.clear_objects()
        self._watches.note_update()

    def _stop_worker(self) -> None:
        ended = self._worker.stop(timeout_s=self._stop_s)
        if not ended:
            self._log.warning(
                f'the update in flight did not end within {self._stop_s:.1f} s; the frames of '
                'its chunk are lost'
            )
        name = self._settings.node.snapshot.on_shutdown
        saved = self._save(name) if self._save_last and name else True
        self._ending = Ending(saved=saved, worker_ended=ended)

    def _save(self, name: str) -> bool:
        """Write the last snapshot; it does not need the worker to have ended."""
        try:
            self._log.info(f'last snapshot in {self._commands.save_as(name)}')
        except Exception:
            trace = traceback.format_exc()
            self._log.error(f'the last snapshot {name!r} was not written:\n{trace}')
            return False
        return True

    def _ros_now_ns(self) -> int:
        return self._node.get_clock().now().nanoseconds
