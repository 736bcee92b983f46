# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/CompressedImage to numpy: JPEG and PNG pictures, PNG and compressedDepth depth."""

from __future__ import annotations

import math
import struct
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.errors import FrameRefused, Refusal

__all__ = ['colour_from_compressed', 'depth_from_compressed']

# A damaged header may claim any size; decoders allocate it before they find out.
MAX_PIXELS = 64 * 1024 * 1024
# Header of compressed_depth_image_transport: int32 kind, float32 quantisation a, b.
DEPTH_HEADER = struct.Struct('<iff')
PNG_SIGNATURE = b'\x89PNG\r\n\x1a\n'
JPEG_START, JPEG_SCAN, JPEG_END = b'\xff\xd8\xff', b'\xff\xda', b'\xff\xd9'


def colour_from_compressed(msg: Any) -> NDArray[np.uint8]:
    """Return a JPEG or PNG as (H, W, 3) uint8 RGB; an alpha channel is dropped, grey is spread.

    Raises:
        FrameRefused: EMPTY_IMAGE, ENCODING or CORRUPT_IMAGE.
    """
    if 'compressedDepth' in msg.format or msg.format.startswith(('16UC1', '32FC1')):
        raise FrameRefused(
            Refusal.ENCODING, f'format {msg.format!r} is depth; is this the colour topic?'
        )
    # CameraInfo is of the stored pixels, so an EXIF orientation must not turn them.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    image = _decode(np.frombuffer(msg.data, np.uint8), image_format=msg.format, flags=flags)
    # image_transport marks files whose red and blue were swapped before they were written.
    if 'compressed rgb' in msg.format:
        return image
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def depth_from_compressed(msg: Any) -> NDArray[np.uint16] | NDArray[np.float32]:
    """Return the depth of a 16-bit PNG, or of image_transport's compressedDepth (PNG).

    Returns:
        (H, W) uint16 millimetres, or float32 metres for '32FC1; compressedDepth'; 0 where
        nothing was measured.

    Raises:
        FrameRefused: EMPTY_IMAGE, ENCODING or CORRUPT_IMAGE.
    """
    encoding = msg.format.partition(';')[0].strip()
    quantised = 'compressedDepth' in msg.format
    allowed = ('16UC1', 'mono16', '32FC1') if quantised else ('16UC1', 'mono16', 'png')
    if encoding not in allowed or 'rvl' in msg.format:
        raise FrameRefused(
            Refusal.ENCODING,
            f'depth format {msg.format!r} is not supported, expected a 16-bit png, or '
            'compressedDepth png of 16UC1 or 32FC1',
        )
    data = np.frombuffer(msg.data, np.uint8)
    if quantised and 0 < data.size <= DEPTH_HEADER.size:
        raise FrameRefused(Refusal.CORRUPT_IMAGE, f'compressedDepth has only {data.size} bytes')
    png = data[DEPTH_HEADER.size :] if quantised else data
    image = _decode(png, image_format=msg.format, flags=cv2.IMREAD_UNCHANGED)
    if image.dtype != np.uint16 or image.ndim != 2:
        raise FrameRefused(
            Refusal.ENCODING,
            f'depth must be one 16-bit channel, got {image.dtype} of shape {image.shape}',
        )
    if encoding != '32FC1':
        return image
    _, a, b = DEPTH_HEADER.unpack_from(data[: DEPTH_HEADER.size].tobytes())
    return _depth_from_inverse(image, a, b)


def _depth_from_inverse(image: NDArray[np.uint16], a: float, b: float) -> NDArray[np.float32]:
    """Return metres ``a / (image - b)``; 0 marks pixels without a measurement."""
    if not (math.isfinite(a) and math.isfinite(b)):
        raise FrameRefused(Refusal.CORRUPT_IMAGE, f'compressedDepth quantisation is {a}, {b}')
    inverse = image.astype(np.float32) - np.float32(b)
    measured = (image > 0) & (inverse > 0)
    return np.divide(np.float32(a), inverse, out=np.zeros_like(inverse), where=measured)


def _decode(data: NDArray[np.uint8], *, image_format: str, flags: int) -> NDArray[Any]:
    if not data.size:
        raise FrameRefused(Refusal.EMPTY_IMAGE, f'compressed image {image_format!r} has no data')
    width, height = _claimed_size(data, image_format)
    if not 0 < width * height <= MAX_PIXELS:
        raise FrameRefused(
            Refusal.CORRUPT_IMAGE, f'{image_format!r} claims {width}x{height} pixels'
        )
    try:
        image = cv2.imdecode(data, flags)
    except cv2.error as error:
        raise FrameRefused(Refusal.CORRUPT_IMAGE, f'{image_format!r}: {error}') from error
    if image is None:
        raise FrameRefused(
            Refusal.CORRUPT_IMAGE, f'{data.size} bytes of {image_format!r} cannot be decoded'
        )
    return image


def _claimed_size(data: NDArray[np.uint8], image_format: str) -> tuple[int, int]:
    """Return (width, height) in the header; refuse what is neither JPEG nor PNG or is cut off."""
    head = data[:24].tobytes()
    if head.startswith(PNG_SIGNATURE) and len(head) == 24:
        return struct.unpack_from('>II', head, 16)
    if head.startswith(JPEG_START):
        content = data.tobytes()
        # Decoders fill a cut JPEG with grey and call it good; a whole one ends its last scan.
        if content.rfind(JPEG_END) <= content.rfind(JPEG_SCAN):
            raise FrameRefused(
                Refusal.CORRUPT_IMAGE, f'JPEG of {data.size} bytes is cut off before its end'
            )
        return _jpeg_size(content)
    if any(name in image_format for name in ('jpeg', 'jpg', 'png', 'compressedDepth')):
        raise FrameRefused(
            Refusal.CORRUPT_IMAGE, f'{data.size} bytes of {image_format!r} are not JPEG or PNG'
        )
    raise FrameRefused(
        Refusal.ENCODING, f'format {image_format!r} is not supported, expected jpeg or png'
    )


def _jpeg_size(content: bytes) -> tuple[int, int]:
    """Return (width, height) of the frame header (SOF) of a JPEG; (0, 0) without one."""
    position = 2
    while position + 9 <= len(content) and content[position] == 0xFF:
        marker = content[position + 1]
        if marker == 0xFF:  # padding before a marker
            position += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from('>HH', content, position + 5)
            return width, height
        position += 2 + int.from_bytes(content[position + 2 : position + 4], 'big')
    return 0, 0
