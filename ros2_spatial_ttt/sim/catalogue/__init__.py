# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Furniture and household things as families of shapes, made of MuJoCo's primitives.

numpy only. A category and a whole number give the same model on every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from ros2_spatial_ttt.errors import ConfigError
from ros2_spatial_ttt.sim.catalogue import (
    devices,
    household,
    seating,
    storage,
    tables,
    trifles,
    wet,
)
from ros2_spatial_ttt.sim.catalogue.build import Build, Dice, Model, Part, extent
from ros2_spatial_ttt.sim.world import CATEGORIES

__all__ = ['MOUNTINGS', 'Model', 'Part', 'extent', 'model']

# How a shape is mounted is told by its number alone: shape modulo length of the tuple.
MOUNTINGS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(CATEGORIES, ('floor',)),
    'lamp': ('floor', 'surface'),
    'tv': ('surface', 'wall'),
    'monitor': ('surface',),
    'laptop': ('surface',),
    'plant': ('floor', 'surface'),
    'bottle': ('surface',),
    'mug': ('surface',),
    'book': ('surface',),
    'vase': ('surface',),
    'picture': ('wall',),
    'mirror': ('wall',),
    'door': ('door',),
}

FAMILIES: dict[str, Callable[[Build, Dice], str] | dict[str, Callable[[Build, Dice], str]]] = {
    'chair': seating.chair,
    'armchair': seating.armchair,
    'stool': seating.stool,
    'sofa': seating.sofa,
    'table': tables.table,
    'desk': tables.desk,
    'coffee table': tables.coffee_table,
    'nightstand': tables.nightstand,
    'bed': storage.bed,
    'wardrobe': storage.wardrobe,
    'cabinet': storage.cabinet,
    'shelf': storage.shelf,
    'dresser': storage.dresser,
    'fridge': wet.fridge,
    'oven': wet.oven,
    'sink': wet.sink,
    'washing machine': wet.washing_machine,
    'toilet': wet.toilet,
    'bathtub': wet.bathtub,
    'lamp': {'floor': devices.floor_lamp, 'surface': devices.table_lamp},
    'tv': {'surface': devices.stand_tv, 'wall': devices.wall_tv},
    'monitor': devices.monitor,
    'laptop': devices.laptop,
    'plant': {'floor': household.floor_plant, 'surface': household.table_plant},
    'bin': household.bin_,
    'box': household.box,
    'basket': household.basket,
    'ball': household.ball,
    'bottle': trifles.bottle,
    'mug': trifles.mug,
    'book': trifles.book,
    'vase': trifles.vase,
    'picture': trifles.picture,
    'mirror': trifles.mirror,
    'door': trifles.door,
    'backpack': household.backpack,
}


@lru_cache(maxsize=8192)
def model(category: str, shape: int) -> Model:
    """Return one shape of a category; the same arguments give the same model everywhere.

    Args:
        category: of ``sim.world.CATEGORIES``.
        shape: any whole number from 0. Its remainder picks the mounting, see ``MOUNTINGS``.

    Raises:
        ConfigError: the category is unknown or the shape is negative.
    """
    if category not in FAMILIES:
        raise ConfigError(f'category: expected one of {", ".join(CATEGORIES)}; got {category!r}')
    if shape < 0:
        raise ConfigError(f'shape of {category!r}: expected a whole number from 0, got {shape}')
    mounting = MOUNTINGS[category][shape % len(MOUNTINGS[category])]
    family = FAMILIES[category]
    build = Build()
    colour = (family if callable(family) else family[mounting])(
        build, Dice(CATEGORIES.index(category), shape)
    )
    return build.model(category, shape, colour, mounting)
