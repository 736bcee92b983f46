# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""``spatial-ttt bench model --preset``: a new network of any size is exported and measured."""

from __future__ import annotations

import json
import shutil

import pytest

pytest.importorskip('psutil', reason='the benchmarks need psutil')
pytest.importorskip('torch', reason='the network is PyTorch')
pytest.importorskip('onnxscript', reason='the model is exported by PyTorch')
pytest.importorskip('onnxruntime', reason='ONNX Runtime runs the model')

from ros2_spatial_ttt import cli
from ros2_spatial_ttt.bench import fresh
from ros2_spatial_ttt.training import fresh as random_network

pytestmark = [pytest.mark.torch, pytest.mark.ort]

TINY = ('--pixels', '64x64', '--chunks', '1', '--seconds', '0.01', '--threads', '1')


def bench(*words) -> int:
    return cli.main(['bench', 'model', *map(str, words)])


def test_a_preset_is_measured_as_it_was_exported(tiny_model, tmp_path, capsys, monkeypatch):
    exported = []

    def copied(folder, name, net, calibration):
        exported.append((folder.name, net.config.image_width, net.config.image_height))
        shutil.copytree(tiny_model[0], folder)

    # The export of a preset takes a minute; another model that was exported stands for it.
    monkeypatch.setattr(random_network, 'export_network', copied)
    path = tmp_path / 'model.json'
    assert bench('--preset', 'nano', *TINY, '--json', path) == 0
    assert exported == [('nano-random', 64, 64)]
    results = json.loads(path.read_text())
    assert results['model'] == 'tiny' and results['backend'] == 'ort'
    rows, columns = tiny_model[1].config.context_grid
    assert results['blocks.tokens'] == 8 * rows * columns
    assert results['whole.eager_ms'] > 0.0
    assert 'whole.runtime' in capsys.readouterr().out


def test_the_larger_preset_has_the_blocks_and_tokens_that_are_asked_for(tmp_path, monkeypatch):
    told = {}

    def noted(folder, name, net, calibration):
        told.update(name=name, blocks=net.backbone.config)

    # The export of 12 blocks takes minutes.
    monkeypatch.setattr(random_network, 'export_network', noted)
    random_network.write_fresh(tmp_path / 'base-random', 'base', fresh.SIZES['base'])
    blocks = told['blocks']
    assert (blocks.width, blocks.blocks, blocks.frames) == (512, 12, 8)
    assert blocks.grid[0] * blocks.grid[1] == 768


def test_sizes_that_cannot_be_are_refused_in_a_sentence(capsys):
    assert bench('--preset', 'nano', '--pixels', '50x64') == 2
    assert '50x64' in capsys.readouterr().err
    assert bench('--pixels', '64x64') == 2
    assert 'only a --preset' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        bench('--preset', 'nano', '--pixels', '64')
    assert 'expected WxH such as 320x240' in capsys.readouterr().err
