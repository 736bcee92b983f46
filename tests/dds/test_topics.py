# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""What the node publishes, above all to those who come late."""

import array
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('spatial_ttt')

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from sensor_msgs.msg import Image, PointCloud2
from std_srvs.srv import Trigger
from visualization_msgs.msg import Marker, MarkerArray

from spatial_ttt.msg import MemoryStatus, SpatialEvent, SpatialObjectArray
from spatial_ttt.srv import SpatialQuery, WatchObject


def picture(rgb):
    return Image(
        height=rgb.shape[0],
        width=rgb.shape[1],
        encoding='rgb8',
        step=rgb.shape[1] * 3,
        data=array.array('B', rgb.tobytes()),
    )


def first(shared, messages):
    return shared.until(lambda: messages, what='a message')[0]


def test_late_joiner_gets_the_things_of_the_last_answer(shared, tour):
    answer = shared.query(type=SpatialQuery.Request.LOCATE, image=picture(tour[4].colour))
    assert answer.objects, answer.message
    objects = first(
        shared, shared.peer.listen(SpatialObjectArray, f'{shared.name}/objects', latched=True)
    )
    assert [item.id for item in objects.objects] == [item.id for item in answer.objects]
    markers = first(
        shared, shared.peer.listen(MarkerArray, f'{shared.name}/markers', latched=True)
    ).markers
    assert markers[0].action == Marker.DELETEALL
    assert len(markers) == 1 + 2 * len(answer.objects)
    assert all(marker.header.frame_id == 'map' for marker in markers)


def test_evidence_is_a_picture(shared, tour):
    import cv2

    answer = shared.query(type=SpatialQuery.Request.LOCATE, image=picture(tour[4].colour))
    shown = [item for item in answer.objects if item.evidence.data]
    assert shown
    for item in shown:
        assert item.evidence.format == 'jpeg'
        assert cv2.imdecode(np.frombuffer(item.evidence.data, np.uint8), 1) is not None
        turn = item.evidence_view.orientation
        assert np.linalg.norm([turn.x, turn.y, turn.z, turn.w]) == pytest.approx(1.0)


def test_late_joiner_gets_the_status(shared):
    status = first(shared, shared.peer.listen(MemoryStatus, f'{shared.name}/status', latched=True))
    assert status.model and status.backend and status.map_id
    assert status.frames_accepted > 0 and status.chunks > 0
    assert len(status.state_hash) == 64
    assert status.rss_mib > 10.0


def test_field_is_made_for_whoever_subscribes(shared, tour):
    cloud = first(shared, shared.peer.listen(PointCloud2, f'{shared.name}/field', latched=True))
    assert [field.name for field in cloud.fields] == [
        'x',
        'y',
        'z',
        'rgb',
        'occupied',
        'observed',
    ]
    assert cloud.header.frame_id == 'map' and cloud.is_dense
    assert cloud.width > 50 and cloud.row_step == len(cloud.data)
    table = np.frombuffer(
        cloud.data,
        np.dtype({'names': ['xyz', 'rgb'], 'formats': ['3<f4', '<u4'], 'itemsize': 24}),
    )
    # The room is 6.7 m by 6 m around the origin and 2.6 m high.
    assert np.all(np.abs(table['xyz'][:, :2]) < 5.0)
    assert np.all((table['xyz'][:, 2] > -1.0) & (table['xyz'][:, 2] < 3.6))
    assert len(np.unique(table['rgb'])) > 10


def test_diagnostics_tell_of_refusals(shared, tour):
    messages = shared.peer.listen(DiagnosticArray, '/diagnostics', latched=False)
    mine = f'{shared.name}: memory'

    def reported(level):
        return [
            status
            for message in list(messages)
            for status in message.status
            if status.name == mine and status.level == level
        ]

    shared.until(lambda: reported(DiagnosticStatus.OK), what='an OK')
    shared.camera._colour.publish(shared.camera.image(1, tour[0].colour, 'nonsense'))
    status = shared.until(lambda: reported(DiagnosticStatus.WARN), what='a WARN')[0]
    assert 'encoding' in status.message
    assert {pair.key for pair in status.values} >= {'state', 'frames accepted', 'refused'}


def test_security_policy_covers_what_the_node_really_uses(shared):
    root = ET.parse(Path(__file__).parents[2] / 'config' / 'sros2_policy.xml').getroot()
    profile = root.find('.//profile[@node="spatial_memory"]')
    namespace, node = shared.name.rsplit('/', 1)
    graph = shared.peer.node

    def names(found):
        return {name.replace(shared.name, '~') for name, _ in found}

    def allowed(kind, right):
        lists = [part for part in profile.findall(f'{kind}s') if part.get(right) == 'ALLOW']
        return {item.text for part in lists for item in part}

    published = names(graph.get_publisher_names_and_types_by_node(node, namespace))
    assert published <= allowed('topic', 'publish')
    served = names(graph.get_service_names_and_types_by_node(node, namespace))
    assert len(served) > 10 and served <= allowed('service', 'reply')


def test_watched_thing_appears(spare, tour):
    spare.reconfigure()
    spare.camera.connected()
    events = spare.peer.listen(SpatialEvent, f'{spare.name}/events', latched=False)
    request = WatchObject.Request(name='picture', enable=True, image=picture(tour[4].colour))
    answer = spare.call(WatchObject, 'watch', request)
    assert answer.success and 'not seen so far' in answer.message
    for frame in tour[:10]:
        spare.camera.send(frame)
        spare.pause()
    event = spare.until(lambda: events, what=f'an event\n{spare.log[-500:]}')[0]
    assert (event.kind, event.watch) == (SpatialEvent.APPEARED, 'picture')
    assert event.object.header.frame_id == 'map'
    assert 'appeared' in event.sentence
    assert spare.call(WatchObject, 'watch', WatchObject.Request(name='picture')).success


def test_watch_tells_of_moves_and_of_what_is_gone():
    """Answers are given by a script; a change counts once it was seen ``confirm`` times."""
    from ros2_spatial_ttt.ros.frames import Frames
    from ros2_spatial_ttt.ros.watch import APPEARED, MOVED, VANISHED, Watches
    from ros2_spatial_ttt.types import Answer, Instance, ResultCode

    def at(x):
        thing = Instance(1, 'cup', np.array([x, 0, 0.0]), np.eye(3), np.zeros(3), 0.9, 1, 2, 3)
        return Answer(ResultCode.OK, instances=(thing,))

    gone, unknown = Answer(ResultCode.NOT_FOUND), Answer(ResultCode.NEVER_OBSERVED)
    script = [at(0.0), at(0.3), at(0.3), gone, unknown, gone, gone, at(2.0), at(2.0), at(2.4)]
    script += [at(2.6), at(2.6), at(2.7)]
    answers, events = iter([unknown, *script]), []

    class Script:
        def query(self, _query):
            return next(answers)

    watches = Watches(
        Script(),
        Frames(None, map_frame='map', follow=False, required=False),
        moved_m=0.5,
        confirm=2,
        publish=events.append,
        log=None,
    )
    request = WatchObject.Request(name='cup', enable=True, labels=['cup'])
    assert watches.handle(request, WatchObject.Response()).success
    for _ in script:
        watches.note_update()
        watches.look()
        watches.look()
    assert next(answers, None) is None
    assert [event.kind for event in events] == [APPEARED, VANISHED, APPEARED, MOVED]
    assert [float(event.instance.position[0]) for event in events] == [0.3, 0.3, 2.0, 2.6]


def test_reset_empties_what_is_latched(spare, tour):
    spare.reconfigure()
    spare.camera.connected()
    for frame in tour[:6]:
        spare.camera.send(frame)
        spare.pause()
    spare.settled()
    answer = spare.query(type=SpatialQuery.Request.LOCATE, image=picture(tour[4].colour))
    assert answer.objects, answer.message
    assert spare.call(Trigger, 'reset', Trigger.Request()).success
    objects = spare.peer.listen(SpatialObjectArray, f'{spare.name}/objects', latched=True)
    assert not first(spare, objects).objects
    answer = spare.query(type=SpatialQuery.Request.LOCATE, image=picture(tour[4].colour))
    assert answer.result_code == SpatialQuery.Response.NEVER_OBSERVED
