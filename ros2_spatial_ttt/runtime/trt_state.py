# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""State in device memory: pools of equal blocks, and states that come to the host late.

States are immutable, as everywhere in this package: an update writes into a free block, and a
block is free again when the last state that holds it is gone. Blocks keep to their stream of
chunks: it swaps the same two however many others there are, so what is captured for a pair of
blocks is captured once.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.runtime.base import ResidentState
from ros2_spatial_ttt.runtime.cuda import CudaStream, DeviceMemory, Gpu, PinnedMemory

__all__ = ['Block', 'DeviceState', 'Layout', 'Pool']

# Bytes; what every type and TensorRT's vectorised loads are happy with.
_ALIGNMENT = 256
# Blocks that are taken from the driver at once: a camera swaps two, and a reader may hold one.
_TOGETHER = 3
# Owner of a block that was never taken.
_NOBODY = 0


class Layout:
    """Where the float32 arrays of a state lie in its block.

    Attributes:
        shapes: by name, in order. offsets: bytes from the begin of the block. nbytes: of a block.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.shapes = dict(shapes)
        self.offsets: dict[str, int] = {}
        self.nbytes = 0
        for name, shape in self.shapes.items():
            self.offsets[name] = self.nbytes
            nbytes = 4 * int(np.prod(shape, dtype=np.int64))
            self.nbytes += -(-nbytes // _ALIGNMENT) * _ALIGNMENT

    def views(self, block: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Return the arrays in the bytes of a block."""
        out = {}
        for name, shape in self.shapes.items():
            count = int(np.prod(shape, dtype=np.int64))
            part = block[self.offsets[name] : self.offsets[name] + 4 * count]
            out[name] = part.view(np.float32).reshape(shape)
        return out


class Block:
    """Device memory of one state."""

    def __init__(self, pool: Pool, address: int) -> None:
        self.pool = pool
        self.address = address

    def addresses(self, prefix: str) -> dict[str, int]:
        """Return the address of each array, by prefixed name."""
        offsets = self.pool.layout.offsets
        return {f'{prefix}{name}': self.address + offset for name, offset in offsets.items()}


class Pool:
    """Blocks of one layout. Any thread may take one and drop it."""

    def __init__(self, gpu: Gpu, layout: Layout) -> None:
        self.layout = layout
        self._gpu = gpu
        self._slabs: list[DeviceMemory] = []
        # Addresses in the order in which they came free. Finalizers add to it at any moment, and
        # take no lock.
        self._free: dict[int, None] = {}
        # {address: stream of chunks that it was last taken for}, of all blocks.
        self._owners: dict[int, int] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        with gpu.active():
            self._stream = CudaStream(gpu, urgent=True)
            self._staging = PinnedMemory(gpu, max(layout.nbytes, 1))

    def take(self, before: Block | None = None) -> Block:
        """Return a block of undefined content.

        Args:
            before: what the new state comes from, and whose stream of chunks it belongs to; None
                for the first of a stream.
        """
        with self._lock:
            owner = next(self._numbers) if before is None else self._owners[before.address]
            address = self._chosen(owner)
            del self._free[address]
            self._owners[address] = owner
            block = Block(self, address)
        # Not at exit: the driver may be gone before.
        weakref.finalize(block, self._free.__setitem__, address, None).atexit = False
        return block

    def _chosen(self, owner: int) -> int:
        """Return a free block: the owner's own newest, or of a stream that is over, or new."""
        free = [*self._free]
        busy = {own for address, own in self._owners.items() if address not in free}
        mine = [address for address in free if self._owners[address] == owner]
        others = [address for address in free if self._owners[address] not in busy]
        if not mine and not others:
            self._grow()
            return self._chosen(owner)
        return (mine or others)[-1]

    def put(self, arrays: Mapping[str, NDArray]) -> Block:
        """Return a block with a copy of arrays from the host."""
        block = self.take()
        with self._lock, self._gpu.active():
            for name, view in self.layout.views(self._staging.bytes).items():
                view[...] = arrays[name]
            self._copy(block, to_host=False)
        return block

    def get(self, block: Block) -> dict[str, NDArray[np.float32]]:
        """Return the arrays of a block on the host."""
        with self._lock, self._gpu.active():
            self._copy(block, to_host=True)
            return self.layout.views(self._staging.bytes[: self.layout.nbytes].copy())

    def _copy(self, block: Block, *, to_host: bool) -> None:
        host = self._staging.bytes[: self.layout.nbytes]
        if not len(host):
            return
        if to_host:
            self._gpu.download(host, block.address, self._stream)
        else:
            self._gpu.upload(block.address, host, self._stream)
        self._gpu.synchronize(self._stream)

    def _grow(self) -> None:
        size = max(self.layout.nbytes, _ALIGNMENT)
        with self._gpu.active():
            slab = DeviceMemory(self._gpu, _TOGETHER * size)
        self._slabs.append(slab)
        for number in range(_TOGETHER):
            self._owners[slab.address + number * size] = _NOBODY
            self._free[slab.address + number * size] = None


class DeviceState(ResidentState):
    """A backbone's state on the device. Reading an array copies the state to the host, once."""

    def __init__(self, block: Block, *, finite: bool) -> None:
        self.block = block
        self.finite = finite
        self._host: dict[str, NDArray[np.float32]] | None = None

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        if self._host is None:
            self._host = self.block.pool.get(self.block)
        return self._host[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.block.pool.layout.shapes)

    def __len__(self) -> int:
        return len(self.block.pool.layout.shapes)
