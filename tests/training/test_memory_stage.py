# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""The stage 'memory': gradients through chunks, and questions to the fast weights."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip('torch')

import torch
from toy_clips import save_toy, tiny_config, toy_home

from ros2_spatial_ttt.training.batches import Batch, HomeShelf, make_batch
from ros2_spatial_ttt.training.memory_stage import with_context
from ros2_spatial_ttt.training.objective import Objective
from ros2_spatial_ttt.training.scene_reader import Scene, SceneTargets, scene_losses
from ros2_spatial_ttt.training.scene_targets import SLOTS
from ros2_spatial_ttt.training.scenes import home_path
from ros2_spatial_ttt.training.settings import load_config
from ros2_spatial_ttt.training.train import batch_options

pytestmark = pytest.mark.torch
NAMES = 36


@pytest.fixture
def config(tmp_path):
    path = tmp_path / 'config.yaml'
    tiny_config(path, stage='memory', half=False, chunks=3, grow=0.0)
    return load_config(path)


@pytest.fixture
def objective(config):
    torch.manual_seed(0)
    return Objective(config).train()


@pytest.fixture
def batch(config, tmp_path) -> Batch:
    path = home_path(tmp_path, 1)
    save_toy(path, toy_home())
    return make_batch(HomeShelf([path]), batch_options(config, 0), seed=0, step=0)


@pytest.fixture
def truth() -> SceneTargets:
    generator = torch.Generator().manual_seed(0)
    return SceneTargets(
        known=torch.ones(2),
        count=torch.randint(0, 5, (2, NAMES), generator=generator).float(),
        centre=torch.randn(2, NAMES, SLOTS, 3, generator=generator),
        size=torch.rand(2, NAMES, SLOTS, 3, generator=generator) + 0.1,
        room=torch.tensor([3, -1]),
        rooms=torch.tensor([[0, 1, 0, 1, 0, 0, 0, 0], [0] * 8]).float(),
    )


def present(truth: SceneTargets) -> torch.Tensor:
    """Return which slots (B, K, S) hold a thing."""
    return truth.count[..., None] > torch.arange(SLOTS)


def state_of(objective: Objective, batch: Batch) -> dict[str, torch.Tensor]:
    """Return the state after the first chunk of a batch."""
    part, net = batch.chunks()[0], objective.net
    _, _, coarse = net.features(part.picture, part.geometry)
    valid = torch.ones(part.clips, len(coarse) // part.clips)
    return with_context(net, coarse, valid, net.backbone.initial_state(part.clips))[1]


def test_chunks_are_consecutive_frames_of_each_stream(config, tmp_path):
    path = home_path(tmp_path, 1)
    save_toy(path, toy_home())
    options = replace(batch_options(config, 0), clips=2)
    batch = make_batch(HomeShelf([path]), options, seed=0, step=0)
    chunks = batch.chunks()
    assert [len(part.image) for part in chunks] == [4, 4, 4]
    streams = batch.image.unflatten(0, (2, 6))
    for number, part in enumerate(chunks):
        own = streams[:, 2 * number : 2 * number + 2]
        assert torch.equal(part.image, own.flatten(0, 1))
        assert part.truth.group.tolist() == [0, 0, 1, 1]
        assert part.scenes == (batch.scenes[number],)


@pytest.mark.parametrize(('detach_every', 'reaches'), [(1, False), (3, True)])
def test_gradients_go_back_through_so_many_chunks(detach_every, reaches, config, batch):
    objective = Objective(replace(config, detach_every=detach_every)).train()
    first = batch.chunks()[0]

    def gradient(of: Batch) -> torch.Tensor:
        """Return the gradient of the loss of a batch by the geometry of its first chunk."""
        geometry = of.geometry.clone().requires_grad_()
        loss, _ = objective(replace(of, geometry=geometry))
        return torch.autograd.grad(loss, geometry)[0][: len(first.image)]

    own = gradient(first) / len(batch.scenes)
    assert torch.allclose(gradient(batch), own, rtol=1e-3, atol=1e-9) != reaches


def test_reading_the_scene_changes_no_state(objective, batch):
    state = state_of(objective, batch)
    before = {name: tensor.clone() for name, tensor in state.items()}
    objective.reader(state)
    assert all(torch.equal(before[name], tensor) for name, tensor in state.items())


def test_the_reader_depends_on_what_was_written(objective, batch):
    written = objective.reader(state_of(objective, batch))
    fresh = objective.reader(objective.net.backbone.initial_state(batch.clips))
    assert not torch.allclose(written.seen, fresh.seen)


def test_of_two_things_one_is_the_nearer(objective):
    scene = objective.reader(objective.net.backbone.initial_state(2))
    torch.testing.assert_close(scene.relation, -scene.relation.transpose(2, 3))


def knowing(scene: Scene, truth: SceneTargets) -> Scene:
    """Return the scene as one tells it who knows the truth."""
    nearest = truth.centre[:, :, 0]
    value = torch.stack([-nearest.norm(dim=2), nearest[..., 1], nearest[..., 2]], dim=1)
    room = torch.zeros_like(scene.room)
    room[0, 3] = 100.0
    return Scene(
        count=torch.log(truth.count.clamp(min=1.0)),
        seen=torch.where(present(truth), 100.0, -100.0),
        centre=truth.centre,
        spread=torch.full_like(scene.spread, -3.0),
        size=torch.log(truth.size),
        room=room,
        rooms=200.0 * truth.rooms - 100.0,
        relation=1e6 * (value[..., :, None] - value[..., None, :]),
    )


def test_a_reader_that_knows_has_no_loss(objective, truth):
    scene = objective.reader(objective.net.backbone.initial_state(2))
    losses = scene_losses(knowing(scene, truth), truth)
    assert float(losses.pop('scene_centre')) == pytest.approx(-3.0, abs=1e-4)
    assert {name: round(float(loss), 4) for name, loss in losses.items()} == dict.fromkeys(
        losses, 0.0
    )


@pytest.mark.parametrize('slot', range(SLOTS))
def test_every_thing_of_a_name_is_asked_for(slot, objective, truth):
    """Whoever errs in one of them alone pays for it, by presence, place and size."""
    scene = knowing(objective.reader(objective.net.backbone.initial_state(2)), truth)
    best = scene_losses(scene, truth)
    for name, loss in (('seen', 'scene_seen'), ('centre', 'scene_centre'), ('size', 'scene_size')):
        wrong = getattr(scene, name).clone()
        wrong[:, :, slot] = -wrong[:, :, slot] + 0.5
        assert scene_losses(replace(scene, **{name: wrong}), truth)[loss] > best[loss] + 0.01


def test_what_has_no_names_teaches_nothing_of_things_and_rooms(objective, truth):
    """A recording without labels: not a stream without things."""
    nothing = replace(
        truth,
        known=torch.zeros(2),
        count=torch.zeros(2, NAMES),
        room=torch.full((2,), -1),
        rooms=torch.zeros(2, 8),
    )
    scene = objective.reader(objective.net.backbone.initial_state(2))
    assert all(float(loss.detach()) == 0.0 for loss in scene_losses(scene, nothing).values())


def test_things_that_were_not_seen_have_no_place_to_learn(objective, truth):
    with torch.no_grad():
        scene = objective.reader(objective.net.backbone.initial_state(2))
    there = present(truth)[..., None]
    elsewhere = replace(
        truth,
        centre=torch.where(there, truth.centre, torch.tensor(9.0)),
        size=torch.where(there, truth.size, torch.tensor(9.0)),
    )
    for name, loss in scene_losses(scene, truth).items():
        assert float(loss) == float(scene_losses(scene, elsewhere)[name])


def test_the_curvature_rule_trains_what_the_others_do(config, batch):
    changed = replace(config, backbone={**config.backbone, 'update_rule': 'curvature'})
    objective = Objective(changed).train()
    loss, logged = objective(batch)
    loss.backward()
    assert 'scene_seen' in logged
    fast = objective.net.backbone.blocks[0].fast
    for parameter in (fast.w0, fast.w1, fast.w2, fast.rates.weight, fast.step, fast.decay):
        assert torch.isfinite(parameter.grad).all() and parameter.grad.abs().max() > 0


@pytest.mark.parametrize('part', ['use_conv', 'use_ttt', 'use_window', 'use_anchors'])
def test_every_part_of_the_blocks_can_be_taken_out(part, config, batch):
    changed = replace(config, backbone={**config.backbone, part: False})
    loss, logged = Objective(changed).train()(batch)
    loss.backward()
    assert torch.isfinite(loss)
    assert ('scene_seen' in logged) == (part != 'use_ttt')
