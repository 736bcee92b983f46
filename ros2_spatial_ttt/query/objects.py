# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The objects that answers named, so that later questions can refer to them as '#ID'."""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from dataclasses import replace

from ros2_spatial_ttt.errors import BadRequest
from ros2_spatial_ttt.types import Instance

__all__ = ['ObjectRegistry']

_REMEMBERED = 1024


class ObjectRegistry:
    """The last objects that were named; any number of threads."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self._objects: OrderedDict[int, Instance] = OrderedDict()
        self._lock = threading.Lock()

    def next_id(self) -> int:
        """Return a number that no object had before."""
        return next(self._ids)

    def remember(self, instance: Instance) -> Instance:
        """Keep an object, without its picture: many pictures would be a memory of their own."""
        with self._lock:
            self._objects[instance.id] = replace(instance, evidence_jpeg=b'')
            while len(self._objects) > _REMEMBERED:
                self._objects.popitem(last=False)
        return instance

    def get(self, label: str) -> Instance:
        """Return the object of '#ID'.

        Raises:
            BadRequest: there is none.
        """
        with self._lock:
            known = self._objects.get(int(label[1:])) if label[1:].isdecimal() else None
        if known is None:
            raise BadRequest(
                f'label {label!r}: no object with this id in the last {_REMEMBERED} '
                "answered; ask LOCATE first and refer to an object's id as '#ID'"
            )
        return known
