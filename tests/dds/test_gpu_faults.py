# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What the node says of a GPU that is missing, lost, full, or has the wrong engine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('spatial_ttt')
pytest.importorskip('onnxruntime')

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from ros2_spatial_ttt.resources import model_directory
from ros2_spatial_ttt.runtime.base import load_manifest
from ros2_spatial_ttt.runtime.engine_file import (
    EngineFile,
    Stamp,
    engine_path,
    graphs_of,
    write_engine,
)

MODEL = 'untrained'
ON_GPU = [sys.executable, str(Path(__file__).with_name('gpu_node.py'))]


def write_for(architecture: str, folder: Path, model: str = MODEL) -> None:
    """Write an engine file for one kind of GPU; see ``gpu_node.install``."""
    manifest = load_manifest(model_directory(model))
    stamp = Stamp(
        model=manifest.name,
        model_hash=manifest.hash,
        backend='tensorrt',
        version='10.3.0',
        architectures=(architecture,),
        plugins='',
    )
    plans = {name: str(manifest.folder / f'{name}.onnx').encode() for name in graphs_of(manifest)}
    write_engine(EngineFile(engine_path(folder, stamp), stamp, plans))


@pytest.fixture
def engines(tmp_path, monkeypatch):
    """An empty folder of engine files that the node searches."""
    monkeypatch.setenv('SPATIAL_TTT_ENGINES', str(tmp_path / 'engines'))
    monkeypatch.delenv('SPATIAL_TTT_PLUGIN_LIBRARY', raising=False)
    return tmp_path / 'engines'


def walk(node, frames):
    for frame in frames:
        node.camera.send(frame)
        node.pause()


def test_a_named_backend_that_cannot_start_fails_configure_and_says_why(start_node, engines):
    node = start_node(memory__backend='tensorrt')
    assert not node.transition('configure')
    assert node.lifecycle_state() == 'unconfigured'
    assert 'ONNX Runtime' not in node.log and 'tensorrt' in node.log
    assert not node.set_parameters(memory__backend='ort')
    assert node.transition('configure'), node.log


def test_auto_falls_to_onnx_runtime_and_says_so_in_log_and_status(start_node, engines):
    node = start_node(memory__backend='auto', memory__model=MODEL).start()
    assert node.status().backend.startswith('ort (auto: ')
    assert "backend 'auto': chose ONNX Runtime on the CPU: " in node.log


def test_an_engine_of_another_gpu_fails_configure_with_the_command(start_node, engines):
    write_for('sm_110', engines)
    node = start_node(program=ON_GPU, memory__backend='tensorrt', memory__model=MODEL)
    assert not node.transition('configure')
    assert 'is built for sm_110, this GPU is sm_87' in node.log
    assert f'spatial-ttt build-engine --model {MODEL} --backend tensorrt' in node.log
    # Put right, the same process goes on.
    write_for('sm_87', engines)
    assert node.transition('configure'), node.log


def test_too_little_device_memory_fails_configure_with_a_remedy(start_node, engines):
    write_for('sm_87', engines)
    node = start_node(program=ON_GPU, memory__backend='tensorrt', memory__model=MODEL)
    fault = node.folder / 'gpu_fault'
    fault.write_text('CUDA_ERROR_OUT_OF_MEMORY', encoding='ascii')
    assert not node.transition('configure')
    assert node.lifecycle_state() == 'unconfigured'
    assert 'OUT_OF_MEMORY; the GPU has too little free memory' in node.log
    fault.unlink()
    assert node.transition('configure'), node.log


def test_a_gpu_lost_in_mid_stream_is_an_error_until_it_is_back(start_node, peer, tour, engines):
    write_for('sm_87', engines, 'nano')
    node = start_node(program=ON_GPU, memory__backend='tensorrt', memory__model='nano').start()
    heard = peer.listen(DiagnosticArray, '/diagnostics', latched=False)
    node.camera.connected()
    walk(node, tour[:8])
    before = node.written(tour[7].stamp_ns)
    assert before.backend == 'tensorrt'

    def last():
        own = [s for m in heard for s in m.status if s.name == f'{node.name}: memory']
        return own[-1] if own else None

    fault = node.folder / 'gpu_fault'
    fault.write_text('CUDA_ERROR_ILLEGAL_ADDRESS', encoding='ascii')
    walk(node, tour[8:16])

    def lost():
        return last() is not None and last().level == DiagnosticStatus.ERROR

    node.until(lost, what='an error in /diagnostics')
    assert 'the GPU is lost to this process; restart the node' in last().message
    # No more frames: it stays an error, and the memory stays what it was.
    seen = len(heard)
    node.until(lambda: len(heard) > seen + 20, what='more reports')
    assert last().level == DiagnosticStatus.ERROR
    assert node.status().chunks == before.chunks
    assert node.process.poll() is None and node.lifecycle_state() == 'active'

    fault.unlink()
    walk(node, tour[16:24])
    assert node.written(tour[23].stamp_ns).chunks > before.chunks
    node.until(lambda: last().level == DiagnosticStatus.OK, what='an end of the error')
