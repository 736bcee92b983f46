# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Thresholds of what the memory is compared with: found on train homes, kept by model, used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ros2_spatial_ttt.config import ReadConfig
from ros2_spatial_ttt.exam import fitting
from ros2_spatial_ttt.exam.codec import HomeResult, Plan, SystemResult
from ros2_spatial_ttt.exam.options import HomeOptions
from ros2_spatial_ttt.exam.question import Question, Response
from ros2_spatial_ttt.exam.systems import SYSTEMS, SystemContext
from ros2_spatial_ttt.types import ResultCode

UNFITTED = ReadConfig.found_threshold
PLACES = ((0.0, 0.0, 0.0), (3.0, 0.0, 0.0))


def home(*sureness: float) -> HomeResult:
    """Return a home with two mugs; a store named both of them and then what is not there."""
    places = [(0.0, 0.0, 0.1), (3.0, 0.0, 0.1), *((9.0, float(i), 0.0) for i in range(9))]
    told = Response(
        places=np.array(places[: len(sureness)]),
        sureness=np.array(sureness),
        verdict=ResultCode.OK,
    )
    question = Question('1/locate/000', 'locate', 'locate', 1, '?', ('mug',), places=PLACES)
    nothing = Response(verdict=ResultCode.NOT_FOUND)
    systems = {'voxel': SystemResult((told,), 1), 'window': SystemResult((nothing,), 1)}
    return HomeResult(1, '', 1, 0, (question,), systems, Plan((), (), ()))


def test_the_threshold_parts_what_is_there_from_what_is_not() -> None:
    homes = [home(0.9, 0.42, 0.3, 0.2), home(0.8, 0.44, 0.35)]
    threshold, f1 = fitting.best_threshold(homes, 'voxel')
    assert 0.35 < threshold <= 0.42
    assert f1 == 1.0
    # A right thing among wrong ones that are as sure is worth less than it costs.
    threshold, f1 = fitting.best_threshold([home(0.9, 0.3, 0.31, 0.32, 0.33, 0.34)], 'voxel')
    assert 0.34 < threshold < 0.9
    assert f1 == pytest.approx(2 / 3)
    assert fitting.best_threshold(homes, 'window')[1] == 0.0


def test_thresholds_are_kept_by_model_and_not_used_for_other_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = {'nano': 'a1'}
    monkeypatch.setattr(fitting, '_FILE', tmp_path / 'thresholds.json')
    monkeypatch.setattr(fitting, 'model_hash', lambda model: weights[model])
    options = HomeOptions(model='nano', perception='model', systems=('voxel', 'window'))
    assert fitting.fitted('nano', 'model') == ()
    told = fitting.outcome([home(0.9, 0.42, 0.3)], options)
    assert '| voxel ' in told.text
    kept = dict(fitting.fitted('nano', 'model'))
    assert kept.keys() == {'voxel', 'window'}
    assert kept['voxel'] == told.results['fit.voxel.threshold']
    assert fitting.fitted('nano', 'oracle') == ()
    weights['nano'] = 'b2'
    assert fitting.fitted('nano', 'model') == ()


@pytest.mark.parametrize('name', ['window', 'voxel', 'keyframe', 'unlimited'])
def test_a_store_tells_things_from_its_threshold_on(name: str) -> None:
    context = SystemContext(labels=('mug',), thresholds={name: 0.7})
    assert SYSTEMS[name](context).found_threshold == 0.7
    assert SYSTEMS[name](SystemContext(labels=('mug',))).found_threshold == UNFITTED


@pytest.mark.ort
def test_the_rival_rule_has_a_threshold_of_its_own() -> None:
    pytest.importorskip('onnxruntime', reason='the memory needs a runtime')
    context = SystemContext(thresholds={'muon': 0.7})
    read = {name: SYSTEMS[name](context).memory.config.read for name in ('memory', 'muon')}
    assert (read['memory'].found_threshold, read['muon'].found_threshold) == (UNFITTED, 0.7)
