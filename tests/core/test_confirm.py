# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Keyframes confirm and refine what the field proposes, and invent nothing."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from ros2_spatial_ttt.config import EvidenceConfig
from ros2_spatial_ttt.geometry import transform_points
from ros2_spatial_ttt.memory.evidence import EvidenceBank, View
from ros2_spatial_ttt.memory.preprocess import CameraTokens
from ros2_spatial_ttt.memory.reader import FieldPoints, Likeness
from ros2_spatial_ttt.memory.windows import window_looks, window_middles
from ros2_spatial_ttt.query import confirm
from ros2_spatial_ttt.query.confirm import Match, Weighing, matched, proposed_views, weighed
from ros2_spatial_ttt.query.search import Cut, Peak, example_windows, middle_cut
from ros2_spatial_ttt.sim.room import boxes
from ros2_spatial_ttt.types import Example, Query, QueryType, ResultCode

pytestmark = pytest.mark.ort

WINDOW = 48
WEIGHING = Weighing(bias=-18.0, agreement=8.0, look=13.0, half=0.55, slope=11.0, silent=-3.0)
TOKEN = (7, 10)  # a token in the middle of the picture


@pytest.fixture(scope='module')
def prepared(tour, manifest):
    tokens = CameraTokens(tour[0].intrinsics, manifest, depth_max_m=8.0)
    return [tokens.prepare(frame) for frame in tour[:6]]


@pytest.fixture(scope='module')
def bank(prepared):
    bank = EvidenceBank()
    for frame in prepared:
        bank = bank.with_frame(frame, EvidenceConfig())
    assert len(bank.keyframes) > 2
    return bank


def token_pixel(manifest, row, column):
    return (column + 0.5) * manifest.stride - 0.5, (row + 0.5) * manifest.stride - 0.5


def cut_at(picture, u, v) -> Cut:
    """Return a window of a picture with pixel (u, v) in its middle."""
    left, top = round(u - (WINDOW - 1) / 2), round(v - (WINDOW - 1) / 2)
    window = np.ascontiguousarray(picture[top : top + WINDOW, left : left + WINDOW])
    return Cut(window, (u - left, v - top))


def surface(*points) -> FieldPoints:
    rows = np.array(points, np.float32).reshape(-1, 3)
    n = len(rows)
    ones, stamps = np.ones(n, np.float32), np.ones(n, np.int64)
    colour = np.zeros((n, 3), np.uint8)
    return FieldPoints(rows, ones, ones, colour, stamps, stamps, np.ones(n, np.int32))


def alike(*score) -> Likeness:
    return Likeness(np.array(score, np.float32), np.zeros(len(score), np.float32))


def peak_at(point, score) -> Peak:
    return Peak(np.asarray(point, float), np.eye(3), np.ones(3), score, 1, 1, 1)


def weigh(proposals, views, matches, places, likeness):
    return weighed(
        proposals, views, matches, places, likeness, separation_m=0.5, weighing=WEIGHING
    )


def alike_all(windows):
    """Stand for a network to which everything looks like the example."""
    return np.ones(len(windows), np.float32)


@pytest.mark.parametrize('change', ['none', 'brighter', 'turned', 'larger'])
def test_a_match_is_where_the_example_was_cut(prepared, bank, manifest, change):
    """Off by ten pixels, in other light, a little turned or nearer: the pixel is found again."""
    frame, keyframe = prepared[0], bank.keyframes[0]
    u, v = token_pixel(manifest, *TOKEN)
    turn, grow = {'turned': (6.0, 1.0), 'larger': (0.0, 1.15)}.get(change, (0.0, 1.0))
    picture = frame.image
    if change == 'brighter':
        picture = np.clip(0.6 * picture + 70.0, 0, 255).astype(np.uint8)
    warp = cv2.getRotationMatrix2D((u, v), turn, grow)
    seen = cv2.warpAffine(picture, warp, picture.shape[1::-1])
    best = matched(cut_at(seen, u, v), [View(keyframe, u + 10, v - 6)], manifest.grid, alike_all)[
        0
    ]
    assert best.agreement > 0.9
    assert np.hypot(best.view.u - u, best.view.v - v) < 1.5
    token = TOKEN[0] * manifest.grid[1] + TOKEN[1]
    truth = transform_points(frame.map_T_camera, frame.ray[token] * frame.depth[token])
    assert np.linalg.norm(best.point - truth) < 0.05


def test_evidence_corrects_a_wrong_proposal(prepared, bank, manifest):
    """The field prefers a place 1 m away; a keyframe shows the example elsewhere."""
    frame = prepared[0]
    u, v = token_pixel(manifest, *TOKEN)
    token = TOKEN[0] * manifest.grid[1] + TOKEN[1]
    truth = transform_points(frame.map_T_camera, frame.ray[token] * frame.depth[token])
    wrong = truth + (1.0, 0.0, 0.0)
    places, likeness = surface(truth, wrong), alike(0.5, 0.6)
    proposals = [peak_at(wrong, 0.6), peak_at(truth + (0.0, 0.15, 0.0), 0.5)]
    views = proposed_views(bank, proposals, places, likeness, manifest.grid)
    guesses = [view for group in views for view in group]
    matches = matched(cut_at(frame.image, u, v), guesses, manifest.grid, alike_all)
    best, *others = weigh(proposals, views, matches, places, likeness)
    assert best.confirmed and np.linalg.norm(best.peak.position - truth) < 0.05
    assert best.confidence > 0.5 > max(other.confidence for other in others)


def test_a_match_where_the_field_holds_no_surface_does_not_count(prepared, bank, manifest):
    u, v = token_pixel(manifest, *TOKEN)
    cut, view = cut_at(prepared[0].image, u, v), View(bank.keyframes[0], u, v)
    matches = matched(cut, [view], manifest.grid, alike_all)
    assert matches[0].agreement > 0.95
    far = matches[0].point + (2.0, 0.0, 0.0)
    findings = weigh([peak_at(far, 0.6)], [[]], matches, surface(far), alike(0.6))
    assert [finding.confirmed for finding in findings] == [False]


def test_a_proposal_that_no_keyframe_sees_is_as_sure_as_before():
    peak, view = peak_at((0, 0, 0), 0.6), [View(None, 0.0, 0.0)]
    places, likeness = surface((0, 0, 0)), alike(0.6)
    unseen = weigh([peak], [[]], [], places, likeness)[0]
    silent = weigh([peak], [view], [], places, likeness)[0]
    assert unseen.log_odds == WEIGHING.of_field(0.6) > silent.log_odds


def match_at(point, *, agreement=0.9, look=0.9, aligned=True) -> Match:
    return Match(np.asarray(point, float), View(None, 0.0, 0.0), agreement, look, aligned)


def test_more_agreement_and_likeness_are_more_sure():
    places, likeness = surface((0, 0, 0)), alike(0.5)

    def odds(**parts):
        return weigh([], [], [match_at((0, 0, 0), **parts)], places, likeness)[0].log_odds

    by_agreement = [odds(agreement=value) for value in (0.5, 0.7, 0.9, 0.99)]
    by_look = [odds(look=value) for value in (-0.5, 0.3, 0.7, 0.95)]
    assert by_agreement == sorted(by_agreement) and by_look == sorted(by_look)
    assert by_look[0] < 0.0 < by_look[-1]


def test_what_is_far_ahead_of_all_others_is_surer():
    """Two places that look the same are each doubted; the order and a lone place stay."""
    places, likeness = surface((0, 0, 0), (3, 0, 0)), alike(0.5, 0.5)
    best = match_at((0, 0, 0), look=0.9)
    weighing = replace(WEIGHING, lead=0.5)

    def confidences(*matches):
        found = weighed([], [], matches, places, likeness, separation_m=0.5, weighing=weighing)
        assert found[0].match is best
        return [one.confidence for one in found]

    ((alone,), (close, doubted), (far, dismissed)) = (
        confidences(best),
        confidences(best, match_at((3, 0, 0), look=0.88)),
        confidences(best, match_at((3, 0, 0), look=0.6)),
    )
    assert alone < close < far and far > doubted > dismissed
    assert alone == weigh([], [], [best], places, likeness)[0].confidence


def test_what_looks_alike_wins_over_what_only_correlates():
    """Planks agree with planks wherever they lie; the network tells them apart."""
    places, likeness = surface((0, 0, 0), (3, 0, 0)), alike(0.5, 0.5)
    planks = match_at((0, 0, 0), agreement=0.97, look=0.6)
    same = match_at((3, 0, 0), agreement=0.85, look=0.9)
    first, second = weigh([], [], [planks, same], places, likeness)
    assert first.match is same and second.match is planks
    assert first.confidence > 0.5 > second.confidence


def test_a_match_that_was_not_aligned_confirms_nothing(prepared, bank, manifest):
    """A look alone may say where it is; then no keyframe is called a witness."""
    cut = cut_at(np.zeros_like(prepared[0].image), 160.0, 120.0)
    noise = np.random.default_rng(3).integers(0, 255, cut.window.shape).astype(np.uint8)
    views = [View(keyframe, 160.0, 120.0) for keyframe in bank.keyframes]
    found = matched(replace(cut, window=noise), views, manifest.grid, alike_all)
    assert found and not any(match.aligned for match in found)
    findings = weigh(
        [], [], found, surface(*[match.point for match in found]), alike(*[0.9] * len(found))
    )
    assert findings and not any(finding.confirmed for finding in findings)


def test_the_network_looks_at_what_was_found_there(prepared, bank, manifest):
    """The windows that it gets show the example, as large as in the example."""
    u, v = token_pixel(manifest, *TOKEN)
    cut, seen = cut_at(prepared[0].image, u, v), []
    views = [View(bank.keyframes[0], u + 6, v)]
    matched(cut, views, manifest.grid, lambda windows: seen.append(windows) or alike_all(windows))
    coarse, fine = seen
    for windows in (coarse, fine):
        assert windows.shape == (1, WINDOW, WINDOW, 3) and windows.dtype == np.uint8
    # But for the keyframe's compression.
    assert np.abs(fine[0].astype(float) - cut.window).mean() < 12.0


def test_a_model_may_bring_its_own_weighing(manifest):
    own = replace(manifest, detector={'confirm.look': 20.0, 'read.bias': 1.0})
    weighing = Weighing.from_manifest(own)
    assert weighing.look == 20.0 and weighing.agreement == Weighing.agreement
    assert (weighing.half, weighing.slope) == manifest.found_score
    again = replace(manifest, detector=WEIGHING.to_manifest())
    assert Weighing.from_manifest(again) == WEIGHING


def test_a_plain_picture_matches_nothing(bank, manifest):
    plain = Cut(np.full((WINDOW, WINDOW, 3), 90, np.uint8), (23.5, 23.5))
    found = matched(plain, [View(bank.keyframes[0], 160.0, 120.0)], manifest.grid, alike_all)
    assert not any(match.aligned for match in found)


def test_the_work_is_bounded_however_many_guesses_and_keyframes(
    prepared, bank, manifest, monkeypatch
):
    """Not time, which varies, but how often the dear steps run."""
    calls = []
    real = cv2.findTransformECC
    monkeypatch.setattr(cv2, 'findTransformECC', lambda *a: calls.append(1) or real(*a))
    cut = cut_at(prepared[0].image, 160.0, 120.0)
    everywhere = [
        View(keyframe, float(u), float(v))
        for keyframe in bank.keyframes
        for u in range(40, 300, 40)
        for v in range(40, 220, 40)
    ]
    assert len(everywhere) > 100
    looked = []
    matched(cut, everywhere, manifest.grid, lambda w: looked.append(len(w)) or alike_all(w))
    assert 0 < len(calls) <= 12
    assert looked[0] <= len(everywhere) and looked[1] <= 12
    many = [peak_at((x, 0, 1), 0.5) for x in np.linspace(-2, 2, 50)]
    places = surface(*[peak.position for peak in many])
    views = proposed_views(bank, many, places, alike(*[0.5] * 50), manifest.grid)
    assert len(views) == confirm.PROPOSALS and max(map(len, views)) <= 2


def test_windows_of_keyframes_are_found_by_their_looks(make_memory, prepared, bank, manifest):
    """A keyframe is found without the field, where it shows the example."""
    memory = make_memory()
    first = EvidenceBank(bank.keyframes[:3])
    looked = first.with_looks(lambda keyframe: window_looks(keyframe, memory.runtime))
    state = replace(memory.state, evidence=looked)
    keyframe, middles = looked.keyframes[1], window_middles(manifest)
    measured = np.flatnonzero(keyframe.looks.any(axis=1))
    middle = middles[measured[len(measured) // 2]]
    x, y = np.rint(middle - (WINDOW - 1) / 2).astype(int)
    picture = next(f.image for f in prepared if f.stamp_ns == keyframe.stamp_ns)
    asked = memory.runtime.embed(picture[None, y : y + WINDOW, x : x + WINDOW])[0]
    best = memory._reader.lookalikes(state, asked, most=20)
    assert len(best) == 20
    assert best[0].keyframe is keyframe and (best[0].u, best[0].v) == tuple(middle)


def test_keyframes_without_looks_are_not_searched(make_memory, bank):
    memory = make_memory()
    state = replace(memory.state, evidence=bank)
    unit = np.eye(memory.manifest.embedding, dtype=np.float32)[0]
    assert memory._reader.lookalikes(state, unit, most=5) == []


def test_the_middle_of_an_example_is_known_at_every_border(tour, manifest):
    """The window is shifted to lie inside the image; the middle it tells shows the same pixel."""
    image = tour[0].colour
    height, width = image.shape[:2]
    for x, y in ((0, 0), (width - 20, height - 20), (100, 60), (width - 20, 0)):
        example = Example(image, (x, y, 20, 20))
        cut = middle_cut(example, manifest, width)
        assert np.array_equal(cut.window, example_windows(example, manifest, width)[0])
        u, v = round(cut.middle[0] + 0.5), round(cut.middle[1] + 0.5)
        assert np.array_equal(cut.window[v, u], image[y + 10, x + 10])


# Whole questions.


def ask(memory, picture, **parts):
    return memory.query(Query(QueryType.LOCATE, examples=(Example(picture),), **parts))


@pytest.fixture(scope='module')
def pictures(scene, tour):
    """Return 12 (picture, true point) from poses between those that were learnt."""
    camera, views = tour[0].intrinsics, boxes.make_tour(scene, 160, scene.seed)
    out = []
    for number in range(6, 160, 13):
        colour, depth, _ = boxes.render(scene, camera, views[number])
        u, v = 160, 130
        z = float(depth[v, u])
        local = np.array([(u - camera.cx) / camera.fx * z, (v - camera.cy) / camera.fy * z, z])
        picture = np.ascontiguousarray(colour[v - 24 : v + 24, u - 24 : u + 24])
        out.append((picture, transform_points(views[number], local)))
    return out


@pytest.fixture(scope='module')
def field_alone(make_memory, room):
    memory = make_memory(read__confirm=False)
    memory.restore(room.state)
    return memory


def test_evidence_makes_answers_more_exact(room, field_alone, pictures):
    errors = {
        memory: np.array(
            [np.linalg.norm(ask(memory, p).instances[0].position - t) for p, t in pictures]
        )
        for memory in (room, field_alone)
    }
    assert np.median(errors[room]) < 0.1
    assert (errors[room] < 0.25).sum() >= (errors[field_alone] < 0.25).sum()


def test_the_answer_says_when_a_keyframe_confirms_it(room, field_alone, pictures):
    told = [(ask(room, picture), ask(field_alone, picture)) for picture, _ in pictures]
    sure = [answer for answer, _ in told if answer.code == ResultCode.OK]
    assert sum('a keyframe confirms it' in answer.sentence for answer in sure) > len(sure) / 2
    assert all(answer.instances[0].confirmed == ('confirms' in answer.sentence) for answer in sure)
    assert not any('keyframe' in alone.sentence for _, alone in told)


def test_the_switch_off_leaves_the_field_alone(field_alone, pictures, monkeypatch):
    """Confidence is the logistic of the read score, and no keyframe is searched."""
    monkeypatch.setattr(cv2, 'findTransformECC', None)
    monkeypatch.setattr(cv2, 'matchTemplate', None)
    half, slope = field_alone.manifest.found_score
    answer = ask(field_alone, pictures[0][0])
    windows = field_alone.runtime.embed(pictures[0][0][None])
    best = field_alone._reader.likeness(field_alone.state, windows).score.max()
    expected = 1.0 / (1.0 + np.exp(-slope * (best - half)))
    assert answer.instances[0].confidence == pytest.approx(expected, rel=1e-5)


def test_pictures_of_another_room_are_not_found(room, pictures):
    """Of the own room most are found; of another one, as good as none."""
    other = boxes.make_scene(8)
    camera = boxes.camera_intrinsics(320, 240)
    foreign = []
    for pose in boxes.make_tour(other, 24, 8)[::2]:
        colour, _, _ = boxes.render(other, camera, pose)
        foreign.append(np.ascontiguousarray(colour[106:154, 136:184]))
    codes = [ask(room, picture).code for picture in foreign]
    own = [ask(room, picture).code for picture, _ in pictures]
    assert codes.count(ResultCode.NOT_FOUND) >= len(codes) - 1
    assert own.count(ResultCode.OK) > len(own) / 2
