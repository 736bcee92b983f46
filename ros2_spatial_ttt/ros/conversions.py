# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""ROS messages to numpy: colour, depth, intrinsics, poses. Unusable ones are refused by reason.

Works on rclpy messages (``array.array`` data) and on those of rosbags (numpy data) alike and
imports neither. What arrives as RGB or as depth is returned as a read-only view of the message's
own bytes; every other layout costs one conversion. Messages are checked before any byte is moved.
"""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.errors import FrameRefused, Refusal
from ros2_spatial_ttt.geometry import transform
from ros2_spatial_ttt.ros.compressed import colour_from_compressed, depth_from_compressed
from ros2_spatial_ttt.types import Intrinsics

__all__ = [
    'colour_from_message',
    'depth_from_message',
    'image_library',
    'intrinsics_from_message',
    'ns_to_sec_nanosec',
    'stamp_to_ns',
    'transform_from_pose',
    'transform_from_transform',
]

Depth = NDArray[np.uint16] | NDArray[np.float32]
Layouts = Mapping[str, tuple[str, int]]

NS_PER_S = 1_000_000_000
MAX_SKEW_PX = 0.5
MAX_QUATERNION_ERROR = 1e-3

# Encoding: (dtype, channels). Names that do not tell the order of channels (8UC3) are left out.
_COLOUR: Layouts = {
    'rgb8': ('<u1', 3),
    'bgr8': ('<u1', 3),
    'rgba8': ('<u1', 4),
    'bgra8': ('<u1', 4),
    'mono8': ('<u1', 1),
    '8UC1': ('<u1', 1),
    'rgb16': ('<u2', 3),
    'bgr16': ('<u2', 3),
    'rgba16': ('<u2', 4),
    'bgra16': ('<u2', 4),
    'mono16': ('<u2', 1),
    'yuv422': ('<u1', 2),
    'uyvy': ('<u1', 2),
    'yuv422_yuy2': ('<u1', 2),
    'yuyv': ('<u1', 2),
    **{f'bayer_{p}8': ('<u1', 1) for p in ('rggb', 'bggr', 'gbrg', 'grbg')},
    **{f'bayer_{p}16': ('<u2', 1) for p in ('rggb', 'bggr', 'gbrg', 'grbg')},
}
_DEPTH: Layouts = {'16UC1': ('<u2', 1), 'mono16': ('<u2', 1), '32FC1': ('<f4', 1)}
# Newer names of the same layouts, which the cv_bridge of Humble does not know.
_SYNONYMS = {'8UC1': 'mono8', 'uyvy': 'yuv422', 'yuyv': 'yuv422_yuy2'}

# Lengths of D per model. OpenCV tells the polynomial models apart by the length alone.
_POLYNOMIAL_LENGTHS = (0, 4, 5, 8, 12, 14)
_DISTORTION_LENGTHS = {
    'plumb_bob': _POLYNOMIAL_LENGTHS,
    'rational_polynomial': _POLYNOMIAL_LENGTHS,
    'equidistant': (0, 4),
}


def stamp_to_ns(stamp: Any) -> int:
    """Return a builtin_interfaces/Time as nanoseconds."""
    return int(stamp.sec) * NS_PER_S + int(stamp.nanosec)


def ns_to_sec_nanosec(ns: int) -> tuple[int, int]:
    """Return nanoseconds as (sec, nanosec) of builtin_interfaces/Time, 0 ≤ nanosec < 1e9."""
    return divmod(int(ns), NS_PER_S)


def colour_from_message(msg: Any) -> NDArray[np.uint8]:
    """Return the picture of a sensor_msgs/Image or CompressedImage (JPEG, PNG).

    Returns:
        (H, W, 3) uint8 RGB; for rgb8 a read-only view of the message's bytes.

    Raises:
        FrameRefused: EMPTY_IMAGE, ENCODING, BIG_ENDIAN, STEP or CORRUPT_IMAGE.
    """
    if hasattr(msg, 'format'):
        return colour_from_compressed(msg)
    pixels = _pixels(msg, layouts=_COLOUR, what='colour')
    return pixels if msg.encoding == 'rgb8' else _to_rgb(pixels, msg.encoding)


def depth_from_message(msg: Any) -> Depth:
    """Return the depth of a sensor_msgs/Image, or of a CompressedImage (PNG, compressedDepth).

    Returns:
        (H, W) uint16 millimetres (16UC1, mono16) or float32 metres (32FC1); 0 or non-finite
        where nothing was measured. Raw images come as a read-only view of the message's bytes.

    Raises:
        FrameRefused: EMPTY_IMAGE, ENCODING, BIG_ENDIAN, STEP or CORRUPT_IMAGE.
    """
    if hasattr(msg, 'format'):
        return depth_from_compressed(msg)
    return _pixels(msg, layouts=_DEPTH, what='depth')


def intrinsics_from_message(camera_info: Any) -> Intrinsics:
    """Return the pinhole camera of a sensor_msgs/CameraInfo, of the image as it is delivered.

    K is of the full sensor; a region of interest is subtracted, then binning is divided out, as
    image_geometry does it.

    Raises:
        FrameRefused: INTRINSICS for zero sizes, an unusable K, a region outside the sensor, an
            unknown distortion model or a D that does not fit it.
    """
    info = camera_info
    k = np.asarray(info.k, dtype=np.float64)
    if not (info.width and info.height):
        raise _no_intrinsics(f'CameraInfo has size {info.width}x{info.height}; fill width, height')
    if k.shape != (9,) or not np.isfinite(k).all() or min(k[0], k[4]) <= 0.0:
        raise _no_intrinsics(f'K needs fx > 0, fy > 0, all finite, got {k.tolist()}; calibrate')
    if abs(k[1]) > MAX_SKEW_PX:
        raise _no_intrinsics(f'K has a skew of {k[1]:.3g} px; only cameras without skew are used')
    model, distortion = _distortion(info)
    x, y, width, height = _roi(info)
    step_x, step_y = max(1, info.binning_x), max(1, info.binning_y)
    return Intrinsics(
        width=int(width // step_x),
        height=int(height // step_y),
        fx=float(k[0]) / step_x,
        fy=float(k[4]) / step_y,
        cx=(float(k[2]) - x) / step_x,
        cy=(float(k[5]) - y) / step_y,
        distortion=distortion,
        model=model,
    )


def transform_from_pose(pose: Any) -> NDArray[np.float64]:
    """Return the (4, 4) transform parent_T_body of a geometry_msgs/Pose, metres.

    Raises:
        FrameRefused: POSE_NOT_FINITE, or QUATERNION when it is not of unit length.
    """
    return _rigid(pose.position, pose.orientation)


def transform_from_transform(msg: Any) -> NDArray[np.float64]:
    """Return the (4, 4) transform parent_T_child of a geometry_msgs/Transform, metres.

    Raises:
        FrameRefused: POSE_NOT_FINITE, or QUATERNION when it is not of unit length.
    """
    return _rigid(msg.translation, msg.rotation)


def image_library() -> str:
    """Return the name of the library that converts layouts: 'cv_bridge' or 'rosbags-image'."""
    return _library()[0]


def _rigid(position: Any, rotation: Any) -> NDArray[np.float64]:
    translation = (position.x, position.y, position.z)
    quaternion = (rotation.x, rotation.y, rotation.z, rotation.w)
    if not all(map(math.isfinite, translation + quaternion)):
        raise FrameRefused(
            Refusal.POSE_NOT_FINITE,
            f'position {translation} and quaternion xyzw {quaternion} must be finite; '
            'is the source of poses localised?',
        )
    norm = math.hypot(*quaternion)
    if abs(norm - 1.0) > MAX_QUATERNION_ERROR:
        raise FrameRefused(
            Refusal.QUATERNION,
            f'quaternion xyzw {quaternion} has length {norm:.6g}, expected 1; normalise it',
        )
    return transform(translation, quaternion)


def _no_intrinsics(message: str) -> FrameRefused:
    return FrameRefused(Refusal.INTRINSICS, message)


def _distortion(info: Any) -> tuple[str, tuple[float, ...]]:
    coefficients = tuple(float(value) for value in info.d)
    model = info.distortion_model
    if not all(map(math.isfinite, coefficients)):
        raise _no_intrinsics(f'D must be finite, got {coefficients}; calibrate the camera')
    if model == '' and not any(coefficients):
        return 'plumb_bob', ()
    lengths = _DISTORTION_LENGTHS.get(model)
    if lengths is None:
        known = ', '.join(_DISTORTION_LENGTHS)
        raise _no_intrinsics(
            f'distortion model {model!r} is unknown, expected one of {known}; rectify the image '
            'and publish its CameraInfo without D'
        )
    if len(coefficients) not in lengths:
        raise _no_intrinsics(f'{model} takes D of length {lengths}, got {len(coefficients)}')
    if model == 'equidistant':
        # Without coefficients this is still a fisheye: the angle, not its tangent, is projected.
        return model, coefficients or (0.0,) * 4
    return model, coefficients if any(coefficients) else ()


def _roi(info: Any) -> tuple[int, int, int, int]:
    """Return (x, y, width, height) of the delivered part in pixels of the full sensor."""
    roi = info.roi
    if not (roi.width and roi.height):
        return 0, 0, info.width, info.height
    if roi.x_offset + roi.width > info.width or roi.y_offset + roi.height > info.height:
        raise _no_intrinsics(
            f'roi {roi.width}x{roi.height} at ({roi.x_offset}, {roi.y_offset}) leaves the '
            f'{info.width}x{info.height} sensor; give roi in pixels before binning'
        )
    return roi.x_offset, roi.y_offset, roi.width, roi.height


def _pixels(msg: Any, *, layouts: Layouts, what: str) -> NDArray[Any]:
    """Return the checked (H, W) or (H, W, C) read-only view of a raw image; rows may be padded."""
    width, height, step, size = msg.width, msg.height, msg.step, len(msg.data)
    if not (width and height and size):
        raise FrameRefused(
            Refusal.EMPTY_IMAGE, f'{what} image is {width}x{height} with {size} bytes of data'
        )
    if msg.encoding not in layouts:
        raise FrameRefused(
            Refusal.ENCODING,
            f'{what} encoding {msg.encoding!r} is not supported, expected one of '
            f'{", ".join(layouts)}; is this the {what} topic?',
        )
    kind, channels = layouts[msg.encoding]
    dtype = np.dtype(kind)
    if msg.is_bigendian and dtype.itemsize > 1:
        raise FrameRefused(
            Refusal.BIG_ENDIAN,
            f'{what} image {msg.encoding} is big-endian; publish it little-endian',
        )
    row = width * channels * dtype.itemsize
    if step < row or step % dtype.itemsize or size != step * height:
        raise FrameRefused(
            Refusal.STEP,
            f'{what} image {width}x{height} {msg.encoding} has step {step} and {size} bytes, '
            f'expected step >= {row} and step * height bytes',
        )
    shape = (height, width) if channels == 1 else (height, width, channels)
    strides = (step, channels * dtype.itemsize, dtype.itemsize)[: len(shape)]
    view = np.ndarray(shape, dtype, buffer=msg.data, strides=strides)
    if not view.flags.aligned:
        view = view.copy()
    view.flags.writeable = False
    return view


def _to_rgb(pixels: NDArray[Any], encoding: str) -> NDArray[np.uint8]:
    name, convert = _library()
    height, width = pixels.shape[:2]
    if pixels.shape[2:] == (2,) and width % 2:
        raise FrameRefused(
            Refusal.ENCODING,
            f'{encoding} shares colour between two pixels, so its width must be even, got {width}',
        )
    tight = np.ascontiguousarray(pixels)
    image = SimpleNamespace(
        height=height,
        width=width,
        encoding=_SYNONYMS.get(encoding, encoding),
        is_bigendian=0,
        step=tight.nbytes // height,
        data=tight,
    )
    try:
        rgb = convert(image, 'rgb8')
    except Exception as error:
        # The libraries raise different types of their own, none of which may end a callback.
        raise FrameRefused(
            Refusal.ENCODING, f'{name} cannot convert {width}x{height} {encoding} to rgb8: {error}'
        ) from error
    return rgb


@functools.lru_cache(maxsize=1)
def _library() -> tuple[str, Callable[[Any, str], NDArray[Any]]]:
    """Return (name, convert(image, encoding)) of ROS's own cv_bridge or of rosbags-image."""
    try:
        from cv_bridge import CvBridge

        convert = CvBridge().imgmsg_to_cv2
        _check_reads_16_bit(convert)
    except Exception as error:
        # A cv_bridge built for another numpy fails in many ways; PyPI's reads 16 bit as 8 bit.
        if not isinstance(error, ModuleNotFoundError):
            logging.getLogger(__name__).warning('cv_bridge is installed but unusable: %r', error)
    else:
        return 'cv_bridge', convert
    try:
        from rosbags.image import message_to_cvimage
    except ImportError:
        return 'no library', _no_library
    return 'rosbags-image', message_to_cvimage


def _check_reads_16_bit(convert: Callable[[Any, str], NDArray[Any]]) -> None:
    data = np.array([0x0102, 0x0304], dtype='<u2').tobytes()
    image = SimpleNamespace(height=1, width=2, encoding='16UC1', is_bigendian=0, step=4, data=data)
    got = convert(image, 'passthrough')
    if got.dtype != np.uint16 or got.tolist() != [[0x0102, 0x0304]]:
        raise ValueError(f'it reads 16UC1 as {got.dtype} {got.tolist()}')


def _no_library(_image: Any, _encoding: str) -> NDArray[Any]:
    raise ImportError("install ROS's cv_bridge, or `pip install rosbags-image`")
