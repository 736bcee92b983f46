# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The update rule in four forms: float64 token loop, torch, the exported graph, the runtime.

Every form is compared with the oracle, not with its neighbour. Torch and the graph take a few
steps of conjugate gradients, the runtime solves exactly; the oracle does both.
"""

from __future__ import annotations

import numpy as np
import pytest

from ros2_spatial_ttt.memory import oracle
from ros2_spatial_ttt.memory.field import FieldState

ort_tier = pytest.mark.ort
torch_tier = pytest.mark.torch

KINDS = ('appearance', 'geometry')
LENGTHS = (1, 63, 64, 65)
# Relative RMS error per tensor, against the oracle.
TOLERANCE = {
    # Sums of products of float32: a few rounding errors of 6e-8 each.
    'curvature': 2e-6,
    'target': 2e-6,
    # Six conjugate-gradient steps multiply rounding errors by the condition number.
    'weight': 2e-4,
}


def steps_of(manifest, form: str) -> int | None:
    """Return the steps that a form takes towards the solution; None = it solves exactly."""
    return None if form == 'ort' else int(manifest.rule['steps'])


def oracle_update(manifest, omega, steps):
    rule = {**manifest.rule, 'steps': steps}

    def update(state, points, values, weights):
        return oracle.field_update(state, points, values, weights, omega=omega, **rule)

    return update


def torch_update(manifest, kind, omega):
    torch = pytest.importorskip('torch')
    from ros2_spatial_ttt.training.field_layers import FieldRule, FieldUpdate

    module = FieldUpdate(FieldRule(**{**manifest.rule, 'steps': int(manifest.rule['steps'])}))

    def update(state, *samples):
        arrays = (*state.tensors().values(), *samples, omega)
        tensors = [torch.from_numpy(np.asarray(array, np.float32)) for array in arrays]
        return FieldState(*(tensor.numpy() for tensor in module.body(*tensors)))

    return update


def graph_update(manifest, kind, omega):
    onnxruntime = pytest.importorskip('onnxruntime')
    path = str(manifest.folder / f'{kind}_update.onnx')
    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])

    def update(state, points, values, weights):
        feed = {f'state/{name}': tensor for name, tensor in state.tensors().items()}
        feed |= {'points': points, 'values': values, 'weights': weights, 'omega': omega}
        return FieldState(*session.run(None, feed))

    return update


def ort_update(manifest, kind, omega):
    pytest.importorskip('onnxruntime')
    from ros2_spatial_ttt.runtime.ort import OrtRuntime

    runtime = OrtRuntime(manifest, threads=1)
    return lambda state, *samples: runtime.update(kind, state, *samples)


FORMS = {'torch': torch_update, 'graph': graph_update, 'ort': ort_update}


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def omega(manifest, kind):
    from ros2_spatial_ttt.runtime.base import load_frequencies

    return load_frequencies(manifest)[kind]


@pytest.fixture
def channels(manifest, kind):
    return manifest.appearance_channels if kind == 'appearance' else 2


@pytest.fixture(
    params=[
        pytest.param('torch', marks=torch_tier),
        pytest.param('graph', marks=ort_tier),
        pytest.param('ort', marks=ort_tier),
    ]
)
def form(request):
    """The form under test."""
    return request.param


@pytest.fixture
def update(form, manifest, kind, omega):
    return FORMS[form](manifest, kind, omega)


@pytest.fixture
def reference(request, manifest, omega):
    """The token loop, with as many steps as the form under test where there is one."""
    tested = request.getfixturevalue('form') if 'form' in request.fixturenames else 'graph'
    return oracle_update(manifest, omega, steps_of(manifest, tested))


def samples(rng, count: int, channels: int, *, masked: float = 0.3):
    """Points within a tile, values as the encoder makes them, weights with zeros."""
    points = rng.uniform(-1.0, 1.0, (count, 3)) * (1.0, 1.0, 1.75)
    values = rng.standard_normal((count, channels)) / np.sqrt(channels)
    values[:, 0] = 1.0
    weights = (rng.uniform(size=count) >= masked).astype(np.float32)
    weights[0] = 1.0
    return points.astype(np.float32), values.astype(np.float32), weights


def used_state(rng, omega, channels, reference) -> FieldState:
    """A field that several chunks were written to, as float32."""
    state = FieldState.zeros(2 * len(omega), channels)
    for _ in range(3):
        state = reference(state, *samples(rng, 200, channels))
    return FieldState(**{k: v.astype(np.float32) for k, v in state.tensors().items()})


def assert_close(got: FieldState, expected: FieldState, *, times: float = 1.0) -> None:
    for name, want in expected.tensors().items():
        have = got.tensors()[name]
        assert have.shape == want.shape, name
        difference = have.astype(np.float64) - want
        relative = np.sqrt(np.mean(difference**2)) / max(np.sqrt(np.mean(want**2)), 1e-12)
        message = f'{name}: max {np.abs(difference).max():.3g}, relative RMS {relative:.3g}'
        assert relative <= times * TOLERANCE[name], message


@pytest.mark.parametrize('count', LENGTHS)
def test_one_chunk_equals_the_token_loop(update, reference, omega, channels, rng, count):
    state = used_state(rng, omega, channels, reference)
    chunk = samples(rng, count, channels)
    assert_close(update(state, *chunk), reference(state, *chunk))


def test_twenty_chunks_do_not_drift_from_the_token_loop(update, reference, omega, channels, rng):
    got = expected = FieldState.zeros(2 * len(omega), channels)
    for _ in range(20):
        chunk = samples(rng, 64, channels)
        got, expected = update(got, *chunk), reference(expected, *chunk)
    # Each chunk adds its own rounding errors, so that they grow with their number at most.
    assert_close(got, expected, times=20)


def test_a_sample_of_weight_zero_does_not_exist(update, omega, channels, rng, reference):
    state = used_state(rng, omega, channels, reference)
    points, values, weights = samples(rng, 64, channels)
    live = weights > 0
    assert 0 < live.sum() < 64
    masked = update(state, points, values, weights)
    # The sums run in another order; nothing else differs.
    assert_close(masked, update(state, points[live], values[live], weights[live]))


def test_no_live_sample_leaves_every_bit(update, reference, omega, channels, rng):
    state = used_state(rng, omega, channels, reference)
    points, values, _ = samples(rng, 64, channels)
    after = update(state, points, values, np.zeros(64, np.float32))
    for name, tensor in state.tensors().items():
        assert after.tensors()[name].tobytes() == tensor.tobytes(), name


def test_inputs_are_not_changed(update, reference, omega, channels, rng):
    state = used_state(rng, omega, channels, reference)
    chunk = samples(rng, 64, channels)
    before = [array.copy() for array in (*state.tensors().values(), *chunk)]
    for one in (update, reference):
        one(state, *chunk)
        for array, old in zip((*state.tensors().values(), *chunk), before, strict=True):
            assert np.array_equal(array, old)


def test_curvature_and_target_do_not_depend_on_the_order_of_chunks(
    reference, omega, channels, rng
):
    first, second = samples(rng, 40, channels), samples(rng, 40, channels)
    empty = FieldState.zeros(2 * len(omega), channels)
    # So light that novelty, which does depend on order, stays at 1.
    first, second = ((p, v, w * np.float32(1e-6)) for p, v, w in (first, second))
    forth = reference(reference(empty, *first), *second)
    back = reference(reference(empty, *second), *first)
    for name in ('curvature', 'target'):
        a, b = forth.tensors()[name], back.tensors()[name]
        # Novelty leaves 1 by less than written mass / mass_max, here below 1e-6.
        assert np.abs(a - b).max() <= 1e-5 * np.abs(a).max(), name


def test_fields_of_two_robots_add_up(reference, omega, channels, rng, manifest):
    """A and B of two runs add to those of one run: the solution of the sum is that of both."""
    empty = FieldState.zeros(2 * len(omega), channels)
    first, second = samples(rng, 60, channels), samples(rng, 60, channels)
    first, second = ((p, v, w * np.float32(1e-3)) for p, v, w in (first, second))
    one, other = reference(empty, *first), reference(empty, *second)
    both = reference(one, *second)
    ridge = manifest.rule['ridge']
    merged = oracle.exact_solution(
        one.curvature + other.curvature, one.target + other.target, ridge=ridge
    )
    single = oracle.exact_solution(both.curvature, both.target, ridge=ridge)
    # Novelty leaves 1 by less than written mass (0.06) / mass_max (60).
    assert np.abs(merged - single).max() <= 2e-3 * np.abs(single).max()


def test_written_mass_is_bounded(reference, omega, channels, rng, manifest):
    """A place that is looked at for hours weighs no more than mass_max allows."""
    point = np.repeat(samples(rng, 1, channels)[0], 64, axis=0)
    values, weights = np.ones((64, channels), np.float32), np.ones(64, np.float32)
    state, mass = FieldState.zeros(2 * len(omega), channels), []
    for _ in range(8):
        state = reference(state, point, values, weights)
        mass.append(float(oracle.fourier_features(point[:1], omega)[0] @ state.target[:, 0]))
    added = np.diff(mass, prepend=0.0)
    assert added[0] == pytest.approx(64, rel=1e-5)
    assert added[1:] == pytest.approx(64 * manifest.rule['weight_min'], rel=1e-5)


def test_conjugate_gradients_reach_the_direct_solution(reference, omega, channels, rng):
    state = reference(FieldState.zeros(2 * len(omega), channels), *samples(rng, 30, channels))
    exact = oracle.exact_solution(state.curvature, state.target, ridge=1.0)
    solved = oracle.conjugate_gradient(
        state.curvature, state.target, np.zeros_like(exact), ridge=1.0, steps=60
    )
    assert np.allclose(solved, exact, atol=1e-9)
    assert not np.allclose(state.target, exact, atol=1e-3), 'B is no solution by itself'


@ort_tier
@pytest.mark.parametrize('count', LENGTHS)
def test_reading_equals_the_oracle(manifest, reference, kind, omega, channels, rng, count):
    from ros2_spatial_ttt.runtime.ort import OrtRuntime

    state = used_state(rng, omega, channels, reference)
    points = samples(rng, count, channels)[0]
    got = OrtRuntime(manifest, threads=1).read(kind, state.weight, points)
    # One float32 product of D features: rounding only.
    assert np.allclose(got, oracle.field_read(state.weight, points, omega=omega), atol=2e-5)
