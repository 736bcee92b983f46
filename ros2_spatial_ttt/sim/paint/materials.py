# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Names of materials and the pictures behind them: small, procedural, the same everywhere.

A name is a kind and a number, such as ``floor.tile.3``; the number is the seed. Pictures of
furniture's materials are pale, because the colour of the part tints them. Those of floors,
walls, paintings, screens and covers have their own colours. Images are (h, w, 3) uint8 RGB.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.sim.paint import artwork, stuffs, surfaces

__all__ = ['CEILINGS', 'FLOORS', 'WALLS', 'Material', 'texture']


@dataclass(frozen=True)
class Material:
    """How a surface looks.

    Attributes:
        name: of the material.
        picture: (h, w, 3) uint8 RGB, or None for a plain one.
        metres: width and height of one repetition; None: once over the whole face.
        specular, shininess, emission: 0..1, as MuJoCo takes them.
        wrap: the picture goes around all sides of a part instead of being seen along its normal.
    """

    name: str
    picture: NDArray[np.uint8] | None
    metres: tuple[float, float] | None = None
    specular: float = 0.1
    shininess: float = 0.2
    emission: float = 0.0
    wrap: bool = False


def _names(**counts: int) -> tuple[str, ...]:
    return tuple(f'{kind.replace("_", ".")}.{k}' for kind, n in counts.items() for k in range(n))


FLOORS = _names(floor_wood=8, floor_parquet=6, floor_tile=8, floor_carpet=6, floor_stone=3)
WALLS = _names(wall_paint=14, wall_stripe=5, wall_pattern=6, wall_tile=6)
CEILINGS = _names(ceiling=3)

# Kinds without a picture: specular, shininess, emission.
PLAIN = {
    'plastic': (0.35, 0.5, 0.0),
    'paint': (0.15, 0.3, 0.0),
    'ceramic': (0.6, 0.8, 0.0),
    'chrome': (0.9, 0.9, 0.0),
    'glass': (0.8, 0.9, 0.0),
    'lampshade': (0.0, 0.1, 0.55),
}
# Kinds with one: maker, metres of a repetition, texels, specular, shininess, emission, wrap.
DRAWN = {
    'wood': (stuffs.wood, (0.8, 0.4), (64, 128), 0.12, 0.3, 0.0, False),
    'fabric': (stuffs.fabric, (0.3, 0.3), (64, 64), 0.0, 0.1, 0.0, False),
    'leather': (stuffs.leather, (0.4, 0.4), (64, 64), 0.35, 0.4, 0.0, True),
    'steel': (stuffs.brushed, (0.5, 0.5), (64, 64), 0.6, 0.7, 0.0, True),
    'cardboard': (stuffs.cardboard, (0.5, 0.5), (64, 64), 0.0, 0.1, 0.0, True),
    'wicker': (stuffs.wicker, (0.2, 0.2), (64, 64), 0.05, 0.1, 0.0, True),
    'leaf': (stuffs.leaf, (0.1, 0.1), (32, 32), 0.15, 0.3, 0.0, True),
    'soil': (stuffs.speckle, (0.2, 0.2), (32, 32), 0.0, 0.0, 0.0, True),
    'bark': (stuffs.speckle, (0.2, 0.2), (32, 32), 0.0, 0.0, 0.0, True),
    'paper': (stuffs.pages, (0.1, 0.1), (32, 32), 0.0, 0.1, 0.0, True),
    'marble': (surfaces.marble, (0.9, 0.9), (128, 128), 0.4, 0.6, 0.0, False),
    'ball': (stuffs.ball, (0.3, 0.3), (64, 64), 0.3, 0.5, 0.0, True),
    'mirror': (stuffs.mirror, None, (64, 64), 0.7, 0.9, 0.12, False),
    'screen': (artwork.screen, None, (72, 128), 0.3, 0.8, 0.55, False),
    'keyboard': (stuffs.keyboard, None, (48, 96), 0.1, 0.2, 0.0, False),
    'label': (stuffs.label, None, (32, 48), 0.0, 0.1, 0.0, False),
    'cover': (artwork.cover, None, (64, 64), 0.2, 0.3, 0.0, False),
    'painting': (artwork.painting, None, (96, 128), 0.1, 0.2, 0.0, False),
    'floor.wood': (surfaces.planks, (2.0, 2.0), (256, 256), 0.12, 0.3, 0.0, False),
    'floor.parquet': (surfaces.parquet, (1.2, 1.2), (256, 256), 0.15, 0.3, 0.0, False),
    'floor.tile': (surfaces.floor_tiles, (1.2, 1.2), (256, 256), 0.3, 0.5, 0.0, False),
    'floor.carpet': (surfaces.carpet, (1.5, 1.5), (128, 128), 0.0, 0.0, 0.0, False),
    'floor.stone': (surfaces.marble, (1.8, 1.8), (256, 256), 0.3, 0.5, 0.0, False),
    'wall.paint': (surfaces.plaster, (2.5, 2.5), (128, 128), 0.0, 0.1, 0.0, False),
    'wall.stripe': (surfaces.wall_stripes, (0.96, 0.96), (64, 128), 0.0, 0.1, 0.0, False),
    'wall.pattern': (surfaces.wallpaper, (0.7, 0.7), (128, 128), 0.0, 0.1, 0.0, False),
    'wall.tile': (surfaces.wall_tiles, (0.9, 0.9), (128, 128), 0.35, 0.6, 0.0, False),
    'ceiling': (surfaces.ceiling, (2.5, 2.5), (64, 64), 0.0, 0.1, 0.25, False),
}


@lru_cache(maxsize=512)
def texture(name: str) -> Material:
    """Return the material of a name.

    Raises:
        ConfigError: no such kind, or its number is not a whole one.
    """
    if name in PLAIN:
        specular, shininess, emission = PLAIN[name]
        return Material(name, None, None, specular, shininess, emission)
    kind, number = name, 0
    head, _, tail = name.rpartition('.')
    if tail.isdigit():
        kind, number = head, int(tail)
    if name == 'screen.off':
        return Material(name, None, None, 0.5, 0.9, 0.0)
    if kind not in DRAWN:
        raise ConfigError(f'material: expected one of {sorted({*PLAIN, *DRAWN})}; got {name!r}')
    maker, metres, shape, specular, shininess, emission, wrap = DRAWN[kind]
    index = sorted(DRAWN).index(kind)
    rng = np.random.default_rng([7, index, number])
    tint = (tints[number % len(tints)],) if (tints := surfaces.TINTS.get(maker.__name__)) else ()
    picture = np.clip(maker(rng, shape, *tint), 0.0, 1.0)
    return Material(
        name, np.round(picture * 255).astype(np.uint8), metres, specular, shininess, emission, wrap
    )
