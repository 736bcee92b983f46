# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""JPEG, PNG and compressedDepth messages to numpy; what cannot be read whole is refused."""

import struct

import cv2
import numpy as np
import pytest

from ros2_spatial_ttt.errors import Refusal
from ros2_spatial_ttt.ros import conversions

COLOUR, DEPTH = conversions.colour_from_message, conversions.depth_from_message


def smooth() -> np.ndarray:
    """RGB that JPEG keeps well: red grows to the right, green downwards."""
    y, x = np.mgrid[0:48, 0:64]
    return np.stack([x * 4, y * 5, np.full_like(x, 30)], axis=2).astype(np.uint8)


def encoded(extension: str, image: np.ndarray) -> bytes:
    bgr = image[:, :, ::-1] if image.ndim == 3 else image
    return cv2.imencode(extension, bgr)[1].tobytes()


@pytest.mark.parametrize('image_format', ['jpeg', 'rgb8; jpeg compressed bgr8', 'jpg'])
def test_jpeg_is_rgb(messages, image_format):
    message = messages.compressed(encoded('.jpg', smooth()), image_format)
    np.testing.assert_allclose(COLOUR(message).astype(int), smooth(), atol=12)


@pytest.mark.parametrize('image_format', ['png', 'bgr8; png compressed bgr8'])
def test_png_is_rgb(messages, image_format):
    message = messages.compressed(encoded('.png', smooth()), image_format)
    np.testing.assert_array_equal(COLOUR(message), smooth())


def test_grey_jpeg_has_three_channels(messages):
    message = messages.compressed(encoded('.jpg', smooth()[:, :, 0]), 'mono8; jpeg compressed ')
    assert COLOUR(message).shape == (48, 64, 3)


def test_files_with_swapped_channels_are_put_right(messages):
    swapped = encoded('.png', smooth()[:, :, ::-1])
    message = messages.compressed(swapped, 'bgr8; png compressed rgb8')
    np.testing.assert_array_equal(COLOUR(message), smooth())


def test_exif_orientation_does_not_turn_the_picture(messages):
    jpeg = encoded('.jpg', smooth())
    # One EXIF entry: orientation 6, to be shown turned by 90 degrees.
    tiff = b'II*\0\x08\0\0\0' + struct.pack('<HHHIHHI', 1, 0x0112, 3, 1, 6, 0, 0)
    exif = b'Exif\0\0' + tiff
    turned = jpeg[:2] + b'\xff\xe1' + struct.pack('>H', len(exif) + 2) + exif + jpeg[2:]
    assert cv2.imdecode(np.frombuffer(turned, np.uint8), cv2.IMREAD_COLOR).shape[:2] == (64, 48)
    np.testing.assert_array_equal(
        COLOUR(messages.compressed(turned, 'jpeg')), COLOUR(messages.compressed(jpeg, 'jpeg'))
    )


@pytest.mark.parametrize('extension', ['.jpg', '.png'])
@pytest.mark.parametrize('share', [0.05, 0.5, 0.97])
def test_cut_off_pictures_are_refused(refused, messages, extension, share):
    data = encoded(extension, smooth())
    message = messages.compressed(data[: int(len(data) * share)], extension[1:])
    text = refused(COLOUR, message, Refusal.CORRUPT_IMAGE)
    # OpenCV before 5 decodes such a JPEG; it must not come to that.
    assert extension == '.png' or 'cut off' in text


def test_unreadable_pictures_are_refused(refused, messages):
    png = bytearray(encoded('.png', smooth()))
    png[len(png) // 2] ^= 0xFF
    for data in (
        b'\0' * 500,
        b'\xff\xd8\xff' + b'\0' * 500,
        bytes(png),
        b'\xff\xd8\xff\xda\xff\xd9',
    ):
        refused(COLOUR, messages.compressed(data, 'jpeg'), Refusal.CORRUPT_IMAGE)
    refused(COLOUR, messages.compressed(b'', 'jpeg'), Refusal.EMPTY_IMAGE)


def test_absurd_sizes_are_refused_before_they_are_allocated(refused, messages):
    jpeg = bytearray(encoded('.jpg', smooth()))
    frame_header = jpeg.index(b'\xff\xc0')
    jpeg[frame_header + 5 : frame_header + 9] = struct.pack('>HH', 32000, 32000)
    text = refused(COLOUR, messages.compressed(bytes(jpeg), 'jpeg'), Refusal.CORRUPT_IMAGE)
    assert '32000x32000' in text
    png = bytearray(encoded('.png', smooth()))
    png[16:24] = struct.pack('>II', 100_000, 9_000)
    text = refused(COLOUR, messages.compressed(bytes(png), 'png'), Refusal.CORRUPT_IMAGE)
    assert '100000x9000' in text


def test_other_compressions_are_refused(refused, messages):
    refused(COLOUR, messages.compressed(b'\0\0\0\1' * 40, 'h264'), Refusal.ENCODING)
    depth = encoded('.png', np.ones((4, 4), np.uint16))
    for image_format in ('16UC1; png compressed ', '16UC1; compressedDepth png'):
        refused(COLOUR, messages.compressed(depth, image_format), Refusal.ENCODING)


MM = np.array([[0, 800, 1439], [7660, 65535, 1]], np.uint16)


@pytest.mark.parametrize('image_format', ['png', '16UC1; png compressed ', 'mono16; png'])
def test_depth_png_is_millimetres(messages, image_format):
    got = DEPTH(messages.compressed(encoded('.png', MM), image_format))
    np.testing.assert_array_equal(got, MM)
    assert got.dtype == np.uint16


@pytest.mark.parametrize('image_format', ['16UC1; compressedDepth', '16UC1; compressedDepth png'])
def test_compressed_depth_of_millimetres(messages, image_format):
    data = struct.pack('<iff', 0, 0.0, 0.0) + encoded('.png', MM)
    np.testing.assert_array_equal(DEPTH(messages.compressed(data, image_format)), MM)


def test_compressed_depth_of_metres(messages):
    metres = np.array([[0.8, 1.439, 7.66], [3.0, 9.9, 20.0]], np.float32)
    # What the publisher does, with its default parameters: depth_max 10 m, quantisation 100.
    a = 100.0 * 101.0
    b = 1.0 - a / 10.0
    stored = np.where(metres < 10.0, a / metres + b, 0).astype(np.uint16)
    data = struct.pack('<iff', 0, a, b) + encoded('.png', stored)
    got = DEPTH(messages.compressed(data, '32FC1; compressedDepth png'))
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, np.where(metres < 10.0, metres, 0.0), rtol=0.01)


@pytest.mark.parametrize(
    ('data', 'image_format', 'reason'),
    [
        (encoded('.png', MM), 'jpeg', Refusal.ENCODING),
        (b'\0' * 40, '16UC1; compressedDepth rvl', Refusal.ENCODING),
        (encoded('.png', MM.astype(np.uint8)), 'png', Refusal.ENCODING),
        (encoded('.jpg', smooth()), '16UC1; png', Refusal.ENCODING),
        (b'\0' * 12, '16UC1; compressedDepth', Refusal.CORRUPT_IMAGE),
        (b'\0' * 90, '16UC1; compressedDepth', Refusal.CORRUPT_IMAGE),
        (b'', '16UC1; compressedDepth', Refusal.EMPTY_IMAGE),
        (
            struct.pack('<iff', 0, np.nan, 0) + encoded('.png', MM),
            '32FC1; compressedDepth',
            Refusal.CORRUPT_IMAGE,
        ),
    ],
    ids=['jpeg', 'rvl', '8 bit', 'colour', 'header only', 'zeros', 'empty', 'nan'],
)
def test_unusable_compressed_depth_is_refused(refused, messages, data, image_format, reason):
    refused(DEPTH, messages.compressed(data, image_format), reason)
