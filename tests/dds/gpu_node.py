# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The node on a GPU that can be made to fail: driver and engines are those of ``fake_cuda``.

python gpu_node.py --ros-args …

Everything above the driver is what runs on a robot: the node, the choice of the backend, the
search for an engine file, the runtime. The file ``gpu_fault`` in the working directory holds the
name of the error that the driver returns from then on.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

sys.path.insert(0, str(Path(__file__).parents[1]))

from fake_cuda import Code, FakeDriver, FakeEngine
from fake_tensorrt import make_tensorrt

from ros2_spatial_ttt.ros.node import main
from ros2_spatial_ttt.runtime import trt

FAULT = Path('gpu_fault')


class FailingDriver(FakeDriver):
    """Fails as the file says: out of memory when memory is taken, else when work is waited for."""

    @staticmethod
    def fault() -> Code:
        """Return what the file says."""
        try:
            return Code[FAULT.read_text(encoding='ascii').strip()]
        except FileNotFoundError:
            return Code.CUDA_SUCCESS

    def cuMemAlloc(self, nbytes):  # noqa: N802
        if self.fault() == Code.CUDA_ERROR_OUT_OF_MEMORY:
            return Code.CUDA_ERROR_OUT_OF_MEMORY, None
        return super().cuMemAlloc(nbytes)

    def cuStreamSynchronize(self, stream):  # noqa: N802
        fault = self.fault()
        self.broken = Code.CUDA_SUCCESS if fault == Code.CUDA_ERROR_OUT_OF_MEMORY else fault
        return super().cuStreamSynchronize(stream)


DRIVER = FailingDriver()


def install() -> None:
    """Put the driver and a TensorRT where the package imports them from."""
    bindings, parent = ModuleType('cuda.bindings'), ModuleType('cuda')
    bindings.driver, parent.bindings = DRIVER, bindings
    sys.modules |= {'cuda': parent, 'cuda.bindings': bindings, 'cuda.bindings.driver': DRIVER}
    sys.modules['tensorrt'] = make_tensorrt(version='10.3.0')
    # What an engine file of the tests holds for each graph is the path of its ONNX.
    trt.Engine = lambda tensorrt, plan, label: FakeEngine(DRIVER, Path(plan.decode()))


if __name__ == '__main__':
    install()
    sys.exit(main())
