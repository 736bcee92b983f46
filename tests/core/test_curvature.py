# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The curvature rule of the fast weights against its float64 loop, and what it is good for."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('torch')

import torch
from layer_inputs import FRAMES, GRIDS, INNER, VALID, Written
from recall import recall

from ros2_spatial_ttt.memory import oracle_curvature as oracle
from ros2_spatial_ttt.training.backbone import STEPS
from ros2_spatial_ttt.training.curvature import SOLVER_STEPS, CurvatureUpdate

pytestmark = pytest.mark.torch

MASK = (np.arange(FRAMES) < np.array(VALID)[:, None]).astype(np.float64)
# Both sides count in float64; conjugate gradients multiply the order of sums by the condition.
EXACT = 1e-9
# float32 against float64. Sums over up to 520 tokens; W1 comes out of six steps of conjugate
# gradients, which multiply rounding errors by the condition.
SINGLE = {'next_curvature': 2e-6, 'next_target': 2e-6, 'next_w1': 2e-4}
UPDATE = CurvatureUpdate()


class Curved(Written):
    """Random inputs of one stream to which a chunk was written before."""

    def __init__(self, rng, tokens: int) -> None:
        super().__init__(rng, tokens)
        features = rng.standard_normal((2, 40, INNER)) / 8.0
        self.curvature = np.einsum('hni,hnj->hij', features, features)
        self.target = features.transpose(0, 2, 1) @ rng.standard_normal((2, 40, 6))
        self.step = np.array([20.0, 200.0])

    def reference(self, valid: int, steps: int | None = SOLVER_STEPS) -> dict[str, np.ndarray]:
        """Return the oracle's next tensors by the layer's names."""
        told = oracle.curvature_update(
            tuple(self.weights),
            self.curvature,
            self.target,
            self.initial[1],
            self.key,
            self.value,
            self.rates[..., 1],
            step=self.step,
            decay=self.decay,
            valid=valid,
            frames=FRAMES,
            steps=steps,
        )
        return dict(zip(('next_w1', 'next_curvature', 'next_target'), told, strict=True))


def updated(streams: list[Curved], mask: np.ndarray, dtype=torch.float64) -> dict:
    """Run the layer on streams side by side; numpy by name."""
    first = streams[0]
    tensors = {f'w{i}': np.stack([s.weights[i] for s in streams]) for i in range(3)}
    for name in ('curvature', 'target', 'key', 'value', 'rates', 'gate'):
        tensors[name] = np.stack([getattr(s, name) for s in streams])
    tensors |= {f'initial{i}': first.initial[i] for i in range(3)}
    tensors |= {'step': first.step, 'decay': first.decay, 'frame_valid': mask}
    given = [torch.tensor(tensors[name], dtype=dtype) for name in UPDATE.inputs]
    return dict(zip(UPDATE.outputs, (t.numpy() for t in UPDATE(*given)), strict=True))


def streams_of(rng, tokens: int) -> list[Curved]:
    streams = [Curved(rng, tokens) for _ in VALID]
    for stream in streams:
        stream.initial = streams[0].initial
    return streams


def assert_near(name: str, got: np.ndarray, want: np.ndarray, allowed: float) -> None:
    largest = np.abs(got - want).max() / np.abs(want).max()
    assert largest <= allowed, f'{name}: maximum {largest:.3g}'


@pytest.mark.parametrize('tokens', GRIDS)
@pytest.mark.parametrize('dtype', [torch.float64, torch.float32], ids=['float64', 'float32'])
def test_update_equals_the_token_loop(rng, tokens, dtype):
    """Streams of 0, 1, 7 and 8 real frames side by side."""
    streams = streams_of(rng, tokens)
    got = updated(streams, MASK, dtype)
    for number, (stream, valid) in enumerate(zip(streams, VALID, strict=True)):
        for name, want in stream.reference(valid).items():
            allowed = EXACT if dtype == torch.float64 else SINGLE[name]
            assert_near(f'{name} of {valid} frames', got[name][number], want, allowed)
        for i in (0, 2):
            kept = torch.tensor(stream.weights[i], dtype=dtype).numpy()
            np.testing.assert_array_equal(got[f'next_w{i}'][number], kept)


def test_a_chunk_without_frames_changes_no_bit(rng):
    stream = Curved(rng, 5)
    got = updated([stream], 0.0 * MASK[:1], torch.float32)
    kept = {'w1': stream.weights[1], 'curvature': stream.curvature, 'target': stream.target}
    for name, array in kept.items():
        np.testing.assert_array_equal(got[f'next_{name}'][0], np.float32(array))


def test_padding_writes_nothing(rng):
    stream, mask = Curved(rng, 5), MASK[1:2]
    clean = updated([stream], mask)
    for array in (stream.key, stream.value, stream.rates):
        array[:, 5:] = 1e6
    for name, array in updated([stream], mask).items():
        np.testing.assert_array_equal(array, clean[name])


def test_steps_lead_to_the_solution(rng):
    """The oracle's steps end where its direct solution is, which no chunk moves then."""
    stream = Curved(rng, 5)
    exact = stream.reference(8, steps=None)
    assert_near('w1', stream.reference(8, steps=60)['next_w1'], exact['next_w1'], 1e-8)
    few = np.abs(stream.reference(8)['next_w1'] - exact['next_w1']).max()
    assert 0 < few < np.abs(stream.weights[1] - exact['next_w1']).max()


def test_an_empty_memory_reads_as_the_learned_weights(rng):
    stream = Curved(rng, 5)
    stream.curvature[:], stream.target[:], stream.rates[:] = 0.0, 0.0, 0.0
    solved = stream.reference(8, steps=None)['next_w1']
    np.testing.assert_allclose(solved, stream.initial[1], rtol=1e-12)


def test_gradients_are_those_of_finite_differences(rng):
    """By keys, values and rates of a chunk into an empty memory."""
    stream = Curved(rng, 1)
    stream.curvature[:], stream.target[:] = 0.0, 0.0
    fixed = [torch.tensor(w)[None] for w in (*stream.initial, stream.curvature, stream.target)]
    rest = [torch.tensor(w) for w in stream.initial]
    ends = [torch.tensor(x) for x in (stream.step, stream.decay, MASK[2:3])]
    gate = torch.tensor(stream.gate)[None]
    given = [torch.tensor(x)[None].requires_grad_() for x in (stream.key, stream.value)]
    given.append(torch.tensor(stream.rates)[None].requires_grad_())

    def after(key, value, rates):
        return UPDATE(*fixed, *rest, key, value, rates, gate, *ends)[1]

    # Along random directions: all of them take long.
    assert torch.autograd.gradcheck(after, given, fast_mode=True)


def test_the_oldest_chunk_is_told_apart_as_well_as_the_newest():
    """The past stays in the loss: what steps along gradients lose with age."""
    newest, oldest = recall(UPDATE, STEPS['curvature'], (0, 23))
    assert min(newest, oldest) > 0.85
    assert abs(newest - oldest) < 0.05
