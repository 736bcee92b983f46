# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The core logs with Python's logging; a node passes that on to the ROS log."""

from __future__ import annotations

import logging
from typing import Any

__all__ = ['RosLogHandler']


class RosLogHandler(logging.Handler):
    """Writes records to a ROS logger at the same level.

    Args:
        log: a ROS logger.
    """

    def __init__(self, log: Any) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Pass one record on."""
        text = self.format(record)
        # One call per level: rclpy binds the severity to the line of the call.
        if record.levelno >= logging.ERROR:
            self._log.error(text)
        elif record.levelno >= logging.WARNING:
            self._log.warning(text)
        elif record.levelno >= logging.INFO:
            self._log.info(text)
        else:
            self._log.debug(text)
