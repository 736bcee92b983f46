# Copyright 2026 spatial_ttt developers
# SPDX-License-Identifier: Apache-2.0
"""Compiles a home into a MuJoCo model: one body per thing, one for the structure, lights, sky."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ros2_spatial_ttt.sim.catalogue import Part, model
from ros2_spatial_ttt.sim.paint.artwork import sky
from ros2_spatial_ttt.sim.paint.engine import import_mujoco
from ros2_spatial_ttt.sim.paint.materials import Material, texture
from ros2_spatial_ttt.sim.paint.shell import shell
from ros2_spatial_ttt.sim.world import Change, Home, Thing

__all__ = ['FAR_M', 'HIDDEN_M', 'NEAR_M', 'SHADE_GROUP', 'SOLID_GROUP', 'Scenery', 'compile_home']

NEAR_M, FAR_M = 0.05, 60.0
HIDDEN_M = -200.0
SOLID_GROUP, SHADE_GROUP = 0, 4
# Opacity of the patches below things, and the share of them that is evenly dark.
SHADE, SHADE_CORE = 0.38, 0.6
# Its sides would show as dark dots if they were ever as high as a pixel.
SHADE_THIN_M = 1e-5
# Light of a room without lamps, of the sky through windows, and of what walls throw back.
AMBIENT, FILL, LAMP = 0.44, 0.22, 0.62
# MuJoCo's renderer ignores point lights. A spot of 180° is one; it throws shadows if narrower.
SPOT_DEG, OPEN_DEG = 80.0, 180.0
ATTENUATION = (1.0, 0.0, 0.045)


@dataclass(frozen=True)
class Scenery:
    """A compiled home.

    Attributes:
        model: ``mujoco.MjModel``.
        thing_of_geom: (g,) int64 thing id of each geom, 0 = structure.
        body_of_thing: MuJoCo's number of the body of each thing id.
        shade_of_thing: number of the body of the dim patch under each thing that stands.
        shades: number of geoms that are such patches; they are the last ones of the model.
        lamps: (l, 3) float64 positions of the home's lamps in the map, m.
    """

    model: Any
    thing_of_geom: NDArray[np.int64]
    body_of_thing: dict[int, int]
    shade_of_thing: dict[int, int]
    shades: int
    lamps: NDArray[np.float64]


def compile_home(
    home: Home, changes: tuple[Change, ...], *, shadows: bool = False, samples: int = 0
) -> Scenery:
    """Return the model of a home with everything that is ever in it.

    All things are hidden below the floor until they are moved to their places.

    Raises:
        EngineError: MuJoCo is not installed.
    """
    mujoco = import_mujoco()
    spec = mujoco.MjSpec()
    things = _ever(home, changes)
    structure = shell(home)
    models = {thing.id: model(thing.category, thing.shape) for thing in things}
    names = sorted(
        {part.material for part in structure}
        | {part.material for m in models.values() for part in m.parts}
    )
    _set_visual(spec, shadows=shadows, samples=samples)
    pictures = {'sky': _sky_picture(home.seed)}
    _add_texture(spec, mujoco, 'sky', 'SKYBOX', pictures['sky'])
    _add_shade_material(spec, mujoco)
    for look in map(texture, names):
        if (picture := _face_picture(look)) is not None:
            pictures[look.name] = picture
            _add_texture(spec, mujoco, look.name, 'CUBE' if look.wrap else '2D', picture)
        _add_material(spec, mujoco, look)
    for part in structure:
        _add_geom(spec.worldbody, mujoco, part)
    for thing in things:
        body = spec.worldbody.add_body(name=f'thing_{thing.id}', pos=(0.0, 0.0, HIDDEN_M))
        for part in models[thing.id].parts:
            _add_geom(body, mujoco, part)
    standing = [thing for thing in things if models[thing.id].mounting in ('floor', 'surface')]
    for thing in standing:
        _add_shade(spec, mujoco, thing)
    _add_lights(spec, mujoco, home, shadows=shadows)
    compiled = spec.compile()
    _paint(compiled, pictures)
    body_of_thing = {thing.id: compiled.body(f'thing_{thing.id}').id for thing in things}
    shade_of_thing = {thing.id: compiled.body(f'shade_{thing.id}').id for thing in standing}
    thing_of_body = np.zeros(compiled.nbody, np.int64)
    for key, body_id in body_of_thing.items():
        thing_of_body[body_id] = key
    thing_of_geom = thing_of_body[compiled.geom_bodyid]
    lamps = np.array([lamp.position for lamp in home.lamps]).reshape(-1, 3)
    return Scenery(compiled, thing_of_geom, body_of_thing, shade_of_thing, len(standing), lamps)


def _ever(home: Home, changes: tuple[Change, ...]) -> list[Thing]:
    """Return every thing that is in the home at any time, by id."""
    things = {thing.id: thing for thing in home.things}
    for change in changes:
        if change.now is not None:
            things.setdefault(change.thing, change.now)
    return [things[key] for key in sorted(things)]


def _set_visual(spec: Any, *, shadows: bool, samples: int) -> None:
    spec.compiler.autolimits = True
    spec.compiler.fusestatic = False
    spec.stat.extent = 1.0
    spec.stat.center = (0.0, 0.0, 0.0)
    visual = spec.visual
    visual.map.znear, visual.map.zfar = NEAR_M, FAR_M
    visual.quality.offsamples = samples
    visual.quality.shadowsize = 1024 if shadows else 0
    visual.quality.numslices, visual.quality.numstacks, visual.quality.numquads = 18, 9, 3
    visual.headlight.active = 1
    visual.headlight.ambient = (AMBIENT,) * 3
    visual.headlight.diffuse = (0.12,) * 3
    visual.headlight.specular = (0.0,) * 3
    visual.global_.offwidth, visual.global_.offheight = 640, 480


def _sky_picture(seed: int) -> NDArray[np.uint8]:
    """Return the six faces of the outside below each other."""
    faces = np.concatenate(sky(np.random.default_rng([seed, 51])))
    return np.round(np.clip(faces, 0, 1) * 255).astype(np.uint8)


def _add_texture(spec: Any, mujoco: Any, name: str, kind: str, picture: NDArray[np.uint8]) -> None:
    """Add a blank texture of the picture's size; ``_paint`` fills it.

    Pixels given to the compiler would travel through a Python list.
    """
    spec.add_texture(
        name=name,
        type=getattr(mujoco.mjtTexture, f'mjTEXTURE_{kind}'),
        nchannel=3,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_FLAT,
        width=picture.shape[1],
        height=picture.shape[0],
    )


def _paint(compiled: Any, pictures: dict[str, NDArray[np.uint8]]) -> None:
    for name, picture in pictures.items():
        start = int(compiled.tex_adr[compiled.texture(name).id])
        compiled.tex_data[start : start + picture.size] = picture.ravel()


def _face_picture(look: Material) -> NDArray[np.uint8] | None:
    """Return a material's picture, or six of it below each other for a cube."""
    if look.picture is None:
        return None
    return np.concatenate([look.picture] * 6) if look.wrap else look.picture


def _add_material(spec: Any, mujoco: Any, look: Material) -> None:
    material = spec.add_material(
        name=look.name, specular=look.specular, shininess=look.shininess, emission=look.emission
    )
    if look.picture is None:
        return
    _textured(material, mujoco, look.name)
    material.texuniform = look.metres is not None and not look.wrap
    if look.metres is not None and not look.wrap:
        # MuJoCo counts repetitions over the two units of a primitive from -1 to 1.
        material.texrepeat = tuple(2.0 / metres for metres in look.metres)


def _textured(material: Any, mujoco: Any, name: str) -> None:
    roles = list(material.textures)
    roles[int(mujoco.mjtTextureRole.mjTEXROLE_RGB)] = name
    material.textures = roles


def _add_shade_material(spec: Any, mujoco: Any, side: int = 32) -> None:
    """Add a black that is less and less opaque towards its edge."""
    line = np.abs(np.linspace(-1, 1, side))
    away = np.hypot(
        *(np.maximum(line - SHADE_CORE, 0)[None], np.maximum(line - SHADE_CORE, 0)[:, None])
    )
    opaque = np.clip(1 - away / (1 - SHADE_CORE), 0, 1) ** 1.5
    out = np.zeros((side, side, 4), np.uint8)
    out[..., 3] = np.round(opaque * 255)
    spec.add_texture(
        name='shade',
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        nchannel=4,
        width=side,
        height=side,
        data=out.ravel().tolist(),
    )
    _textured(spec.add_material(name='shade', specular=0, shininess=0), mujoco, 'shade')


def _add_shade(spec: Any, mujoco: Any, thing: Thing) -> None:
    """Add the patch that a thing darkens below itself: without one, things seem to float."""
    body = spec.worldbody.add_body(name=f'shade_{thing.id}', pos=(0.0, 0.0, HIDDEN_M))
    half = [0.5 * edge / SHADE_CORE**0.5 + 0.02 for edge in thing.size[:2]]
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=(*half, SHADE_THIN_M),
        material='shade',
        rgba=(0.0, 0.0, 0.0, SHADE),
        group=SHADE_GROUP,
        contype=0,
        conaffinity=0,
    )


def _add_geom(body: Any, mujoco: Any, part: Part) -> None:
    body.add_geom(
        type=getattr(mujoco.mjtGeom, f'mjGEOM_{part.shape.upper()}'),
        size=part.size,
        pos=part.position,
        quat=part.quaternion,
        material=part.material,
        rgba=(*part.colour, 1.0),
        contype=0,
        conaffinity=0,
    )


def _add_lights(spec: Any, mujoco: Any, home: Home, *, shadows: bool) -> None:
    """Add a weak light from above that shows shapes, then one per lamp."""
    spec.worldbody.add_light(
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        pos=(0, 0, 10),
        dir=(0.35, 0.2, -0.9),
        diffuse=(FILL,) * 3,
        specular=(0.0,) * 3,
        ambient=(0.0,) * 3,
        castshadow=False,
    )
    for lamp in home.lamps:
        glow = tuple(LAMP * lamp.strength * c for c in lamp.colour)
        spec.worldbody.add_light(
            type=mujoco.mjtLightType.mjLIGHT_SPOT,
            pos=lamp.position,
            dir=(0, 0, -1),
            cutoff=SPOT_DEG if shadows else OPEN_DEG,
            exponent=0.0,
            diffuse=glow,
            specular=tuple(0.5 * c for c in glow),
            ambient=(0.0,) * 3,
            attenuation=ATTENUATION,
            castshadow=shadows,
        )
