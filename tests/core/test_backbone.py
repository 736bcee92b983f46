# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The backbone: blocks against the token loop, streaming, masks, batches, long streams."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip('torch')

import torch

from ros2_spatial_ttt.memory import oracle_layers as oracle
from ros2_spatial_ttt.memory.oracle_layers import LayerSizes
from ros2_spatial_ttt.training.backbone import (
    DECAY_MAX,
    RULES,
    STEPS,
    BackboneConfig,
    HybridBackbone,
)
from ros2_spatial_ttt.training.layers import UPDATE_RULES

pytestmark = pytest.mark.torch

SMALL = BackboneConfig(width=16, grid=(4, 6), cells=(2, 3), frames=8, heads=2, window=4, sinks=2)
FRAMES, TOKENS = SMALL.frames, SMALL.tokens
ABLATIONS = ('use_conv', 'use_ttt', 'use_window', 'use_anchors')
# Both sides count in float64, so only the order of sums differs.
EXACT = {'rtol': 1e-9, 'atol': 1e-10}


def make(config: BackboneConfig = SMALL, dtype=torch.float64) -> HybridBackbone:
    """Return a backbone with every parameter moved off its start, where gates are shut."""
    torch.manual_seed(5)
    torch.set_default_dtype(dtype)
    try:
        backbone = HybridBackbone(config).eval()
    finally:
        torch.set_default_dtype(torch.float32)
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return backbone


def mask(*counts: int, dtype=torch.float64) -> torch.Tensor:
    return torch.stack([(torch.arange(FRAMES) < count).to(dtype) for count in counts])


def chunks(seed: int, count: int, *, batch: int = 1, config=SMALL, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    shape = (count, batch, FRAMES, config.tokens, config.width)
    return torch.randn(shape, generator=generator, dtype=dtype)


@torch.no_grad()
def stream(backbone, inputs, counts=None, state=None):
    """Run chunks (count, B, F, T, d); return tokens, surprises of all and the last state."""
    batch, dtype = inputs.shape[1], inputs.dtype
    state = backbone.initial_state(batch) if state is None else state
    tokens, surprises = [], []
    for index, chunk in enumerate(inputs):
        n = FRAMES if counts is None else counts[index]
        x, state, surprise = backbone(chunk, mask(*[n] * batch, dtype=dtype), state)
        tokens.append(x[:, :n])
        surprises.append(surprise[:, :n])
    return torch.cat(tokens, dim=1), torch.cat(surprises, dim=1), state


def assert_states_equal(got, expected, **tolerance) -> None:
    assert list(got) == list(expected)
    for name, tensor in expected.items():
        torch.testing.assert_close(got[name], tensor, **tolerance, msg=lambda m, n=name: n + m)


def sizes_of(config: BackboneConfig) -> LayerSizes:
    return LayerSizes(
        grid=config.grid,
        cells=config.cells,
        frames=config.frames,
        heads=config.heads,
        window=config.past + 1,
        rule=config.update_rule,
        rate=config.rate / (config.frames * config.tokens),
        step=2.0 * STEPS[config.update_rule],
        decay=DECAY_MAX,
    )


@torch.no_grad()
def assert_blocks_equal_the_oracle(config: BackboneConfig, valid: int) -> None:
    backbone, inputs = make(config), chunks(1, 2, config=config)
    _, _, state = stream(backbone, inputs[:1])
    seen = state.get('seen', torch.ones(1, 0))
    x = inputs[1]
    flags = torch.cat([seen, mask(valid)], dim=1)
    for index, block in enumerate(backbone.blocks):
        prefix = f'block{index}.'
        own = {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}
        parameters = {name: tensor.numpy() for name, tensor in block.state_dict().items()}
        expected, after = oracle.hybrid_block(
            parameters,
            x[0].numpy(),
            seen[0].numpy(),
            {name: tensor[0].numpy() for name, tensor in own.items()},
            sizes=sizes_of(config),
            valid=valid,
        )
        x, got = block(x, flags, mask(valid), own)
        np.testing.assert_allclose(x[0, :valid].numpy(), expected[:valid], **EXACT)
        assert set(got) == set(after)
        for name, want in after.items():
            np.testing.assert_allclose(got[name][0].numpy(), want, err_msg=name, **EXACT)
        x[:, valid:] = 0.0


@pytest.mark.parametrize('rule', UPDATE_RULES)
@pytest.mark.parametrize('valid', [0, 3, 8])
def test_blocks_equal_the_token_loop(rule, valid):
    assert_blocks_equal_the_oracle(replace(SMALL, update_rule=rule), valid)


@pytest.mark.parametrize('part', ABLATIONS)
def test_blocks_without_a_part_equal_the_token_loop(part):
    assert_blocks_equal_the_oracle(replace(SMALL, **{part: False}), 5)


@pytest.mark.parametrize('rule', RULES)
def test_chunk_by_chunk_equals_layer_by_layer(rule):
    """Streaming, against every block over the whole sequence before the next block starts."""
    backbone, inputs = make(replace(SMALL, update_rule=rule)), chunks(2, 3)
    streamed, _, _ = stream(backbone, inputs)
    whole = list(inputs)
    past = torch.zeros(1, SMALL.past, dtype=torch.float64)
    for block in backbone.blocks:
        state, seen = block.initial_state(1), past
        for index, chunk in enumerate(whole):
            flags = torch.cat([seen, mask(FRAMES)], dim=1)
            with torch.no_grad():
                whole[index], state = block(chunk, flags, mask(FRAMES), state)
            seen = flags[:, -SMALL.past :]
    torch.testing.assert_close(streamed, torch.cat(whole, dim=1), rtol=0.0, atol=1e-12)


def test_partial_chunks_without_fast_weights_equal_one_long_chunk():
    """3, 5 and 8 frames as padded chunks, against one chunk of 16."""
    config = replace(SMALL, use_ttt=False)
    backbone, inputs = make(config), chunks(3, 2)
    long = make(replace(config, frames=16))
    frames = inputs.permute(1, 0, 2, 3, 4).flatten(1, 2)
    with torch.no_grad():
        whole, state, surprise = long(frames, torch.ones(1, 16), long.initial_state(1))
    parts = torch.full_like(chunks(3, 3), 4.0)
    for index, (start, stop) in enumerate(((0, 3), (3, 8), (8, 16))):
        parts[index, :, : stop - start] = frames[:, start:stop]
    got, surprises, after = stream(backbone, parts, counts=(3, 5, 8))
    torch.testing.assert_close(got, whole, **EXACT)
    torch.testing.assert_close(surprises, surprise, **EXACT)
    assert_states_equal(after, state, **EXACT)


@pytest.mark.parametrize('rule', RULES)
@pytest.mark.parametrize('garbage', [7.0, float('nan')])
def test_padding_has_no_effect(rule, garbage):
    backbone, inputs = make(replace(SMALL, update_rule=rule)), chunks(4, 3)
    padded = inputs.clone()
    padded[1, :, 5:] = garbage
    inputs[1, :, 5:] = 0.0
    counts = (8, 5, 8)
    clean, dirty = stream(backbone, inputs, counts), stream(backbone, padded, counts)
    assert torch.equal(clean[0], dirty[0]) and torch.equal(clean[1], dirty[1])
    assert_states_equal(dirty[2], clean[2], rtol=0.0, atol=0.0)


@pytest.mark.parametrize('rule', RULES)
def test_a_chunk_without_frames_changes_no_bit_of_the_state(rule):
    backbone, inputs = make(replace(SMALL, update_rule=rule), torch.float32), chunks(5, 2)
    inputs = inputs.float()
    _, _, state = stream(backbone, inputs[:1])
    _, _, after = stream(backbone, inputs[1:], counts=(0,), state=state)
    assert_states_equal(after, state, rtol=0.0, atol=0.0)


@pytest.mark.parametrize('rule', RULES)
def test_a_batch_equals_its_members(rule):
    backbone, inputs = make(replace(SMALL, update_rule=rule)), chunks(6, 2, batch=3)
    tokens, surprises, state = stream(backbone, inputs)
    for i in range(3):
        own = slice(i, i + 1)
        alone = stream(backbone, inputs[:, own])
        torch.testing.assert_close(tokens[own], alone[0], **EXACT)
        torch.testing.assert_close(surprises[own], alone[1], **EXACT)
        assert_states_equal({n: t[own] for n, t in state.items()}, alone[2], **EXACT)


def test_two_cameras_do_not_meet():
    """Their chunks in turn through one backbone, against each camera alone."""
    backbone, left, right = make(), chunks(7, 3), chunks(8, 3)
    states = [backbone.initial_state(1), backbone.initial_state(1)]
    for pair in zip(left, right, strict=True):
        for i, chunk in enumerate(pair):
            _, _, states[i] = stream(backbone, chunk[None], state=states[i])
    assert_states_equal(states[0], stream(backbone, left)[2], rtol=0.0, atol=0.0)
    assert_states_equal(states[1], stream(backbone, right)[2], rtol=0.0, atol=0.0)


def test_inputs_are_not_changed():
    backbone, inputs = make(), chunks(9, 1)
    state = stream(backbone, inputs)[2]
    before = {name: tensor.clone() for name, tensor in state.items()}
    copy = inputs.clone()
    stream(backbone, inputs, state=state)
    assert torch.equal(inputs, copy)
    assert_states_equal(state, before, rtol=0.0, atol=0.0)


def test_later_chunks_train_what_earlier_ones_wrote():
    """Gradients reach through the state: to the initial weights, the rates, step and decay."""
    backbone, inputs = make(), chunks(10, 3)
    state = backbone.initial_state(1)
    for chunk in inputs:
        tokens, state, _ = backbone(chunk, mask(8), state)
    tokens.square().mean().backward()
    fast = backbone.blocks[0].fast
    for parameter in (fast.w0, fast.w1, fast.w2, fast.rates.weight, fast.step, fast.decay):
        assert torch.isfinite(parameter.grad).all()
        assert parameter.grad.abs().max() > 0


@pytest.mark.parametrize('rule', ['momentum', 'curvature'])
def test_a_gradient_through_two_chunks_equals_a_finite_difference(rule):
    backbone, inputs = make(replace(SMALL, blocks=1, update_rule=rule)), chunks(11, 2)
    parameter = backbone.blocks[0].fast.rates.bias

    def loss():
        _, state, _ = backbone(inputs[0], mask(8), backbone.initial_state(1))
        tokens, _, _ = backbone(inputs[1], mask(5), state)
        return tokens[:, :5].square().mean()

    (gradient,) = torch.autograd.grad(loss(), parameter)
    for i in range(len(parameter)):
        values = []
        for nudge in (1e-5, -1e-5):
            with torch.no_grad():
                parameter[i] += nudge
                values.append(float(loss()))
                parameter[i] -= nudge
        assert float(gradient[i]) == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-4)


def test_a_fresh_backbone_changes_little_and_keeps_its_fast_weights_silent():
    torch.manual_seed(6)
    backbone, inputs = HybridBackbone(SMALL).eval(), chunks(12, 1).float()
    tokens, _, _ = stream(backbone, inputs)
    assert (tokens - inputs[0]).square().mean() < 0.01
    state = backbone.initial_state(1)
    state['block0.w1'] = state['block0.w1'] + 1.0
    assert torch.equal(stream(backbone, inputs, state=state)[0], tokens)


@pytest.mark.parametrize('rule', UPDATE_RULES)
def test_states_stay_finite_and_bounded(rule):
    """100 chunks of loud random input."""
    backbone = make(replace(SMALL, update_rule=rule, blocks=2), torch.float32)
    inputs = 30.0 * chunks(13, 100, dtype=torch.float32)
    initial = backbone.initial_state(1)
    _, _, half = stream(backbone, inputs[:50])
    tokens, surprises, state = stream(backbone, inputs[50:], state=half)
    assert torch.isfinite(tokens).all() and ((surprises >= 0) & (surprises <= 2)).all()
    for name, tensor in state.items():
        assert torch.isfinite(tensor).all(), name
        assert tensor.shape == initial[name].shape and tensor.dtype == torch.float32, name
        if '.w' in name:
            lengths, firsts = (
                torch.linalg.vector_norm(t, dim=-1) for t in (tensor, initial[name])
            )
            torch.testing.assert_close(lengths, firsts, rtol=1e-4, atol=1e-4)
        if '.m' in name:
            assert tensor.abs().max() < 3.0 * half[name].abs().max(), name


def test_mixed_precision_keeps_the_state_single():
    backbone, inputs = make(dtype=torch.float32), chunks(14, 2, dtype=torch.float32)
    tokens, _, expected = stream(backbone, inputs)
    with torch.autocast('cpu', torch.bfloat16):
        rough, surprises, state = stream(backbone, inputs)
    assert all(tensor.dtype == torch.float32 for tensor in state.values())
    assert surprises.dtype == torch.float32
    # bfloat16 rounds to 2^-8; a few roundings in a row.
    assert (rough.float() - tokens).abs().max() < 0.05 * tokens.abs().max()
    for name, tensor in expected.items():
        assert (state[name] - tensor).abs().max() <= 0.1 * tensor.abs().max(), name


def test_surprise_is_what_the_frames_before_did_not_tell():
    torch.manual_seed(6)
    backbone, inputs = HybridBackbone(SMALL).eval(), chunks(15, 2).float()
    inputs[:] = inputs[0, :, :1]
    inputs[1, :, 4:] = chunks(16, 1).float()[0, :, :1]
    _, surprises, _ = stream(backbone, inputs)
    assert surprises[0, 0] == pytest.approx(1.0)
    calm = torch.cat([surprises[0, 1:12], surprises[0, 13:]])
    # Nothing moves but at frame 12, and a fresh backbone expects what it saw last.
    assert calm.abs().max() < 1e-5
    assert surprises[0, 12] > 0.3


def test_surprise_is_a_loss_whose_target_takes_no_gradient():
    torch.manual_seed(6)
    backbone, inputs = HybridBackbone(SMALL), chunks(17, 1).float()
    inputs.requires_grad_()
    _, _, surprise = backbone(inputs[0], mask(6).float(), backbone.initial_state(1))
    assert (surprise[:, 6:] == 0).all()
    surprise.sum().backward()
    # A fresh head adds nothing, so only the target could pass a gradient on.
    assert not inputs.grad.any()
    assert backbone.predict_out.weight.grad.abs().max() > 0


def test_the_prediction_learns_a_motion():
    """Tokens that turn by the same angle each frame: copying fails, a little training does not."""
    torch.manual_seed(6)
    config = replace(SMALL, blocks=1)
    backbone = HybridBackbone(config)
    basis = torch.randn(2, TOKENS, SMALL.width)
    angle = torch.arange(2 * FRAMES, dtype=torch.float32)[:, None, None] * 0.8
    frames = (torch.cos(angle) * basis[0] + torch.sin(angle) * basis[1])[None]
    optimizer = torch.optim.Adam(backbone.parameters(), lr=3e-3)
    losses = []
    for _ in range(60):
        state, loss = backbone.initial_state(1), torch.zeros(())
        for chunk in frames.split(FRAMES, dim=1):
            _, state, surprise = backbone(chunk, mask(FRAMES).float(), state)
            loss = loss + surprise.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()) - 1.0)  # the first frame has no prediction
    assert losses[-1] < 0.2 * losses[0]


@pytest.mark.parametrize('part', ABLATIONS)
def test_a_part_taken_out_leaves_no_state(part):
    """What an ablation does not carry it does not pay for, either."""
    names = {name.split('.')[-1] for name in make(replace(SMALL, **{part: False})).state_dict()}
    state = make(replace(SMALL, **{part: False})).initial_state(1)
    carried = {name.split('.')[-1] for name in state}
    gone = {
        'use_conv': ({'kernel'}, {'tail'}),
        'use_ttt': ({'w0', 'kernel', 'decay'}, {'w0', 'm0', 'tail'}),
        'use_window': (set(), {'keys', 'values', 'seen'}),
        'use_anchors': (set(), set()),
    }[part]
    assert not names & gone[0] and not carried & gone[1]
    hybrid = 'block3.w0' in state
    assert hybrid == (part == 'use_anchors')


def test_sizes_of_the_default():
    backbone = HybridBackbone(BackboneConfig())
    assert sum(parameter.numel() for parameter in backbone.parameters()) <= 1_200_000
    state = backbone.initial_state(1)
    assert sum(4 * tensor.numel() for tensor in state.values()) <= 16e6


def test_a_config_is_refused_with_every_fault():
    with pytest.raises(ValueError, match='cells .* must divide grid') as caught:
        HybridBackbone(replace(SMALL, cells=(3, 3), update_rule='adam', width=18, window=0))
    for word in ('width', 'update_rule', 'adam', 'window'):
        assert word in str(caught.value)


def test_tokens_or_state_of_another_shape_are_refused():
    backbone, inputs = make(), chunks(18, 1)
    state = backbone.initial_state(1)
    with pytest.raises(ValueError, match=r'tokens .*\(B, 8, 24, 16\).*got \(1, 8, 23, 16\)'):
        backbone(inputs[0, :, :, :23], mask(8), state)
    with pytest.raises(
        ValueError, match=r'state .*batch 2.*prediction \(2, 1, 6, 16\).*got \(1, '
    ):
        backbone(inputs[0].repeat(2, 1, 1, 1), mask(8, 8), state)
    del state['block0.w0']
    with pytest.raises(ValueError, match=r'state .*block0\.w0'):
        backbone(inputs[0], mask(8), state)
