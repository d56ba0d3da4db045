"""MuJoCo's drawing with Mesa's software renderer, whatever renderer the process uses otherwise."""

import os
from typing import Any

import mujoco
import numpy as np

from inhand.errors import InhandError
from inhand.perception.tags import Image

_MOST_GEOMS = 2000


class RendererError(InhandError):
    """There is no software renderer on this machine."""


class SoftwareRenderer:
    """Draws a model's first camera; needs no display and no graphics card.

    `mujoco.Renderer` takes the renderer that was chosen when `mujoco` was imported first, and fails
    on import without its library. This one looks for the library when it is opened.

    Args:
        width: of the images [px].
        height: of the images [px].
    """

    def __init__(self, width: int, height: int) -> None:
        self._rectangle = mujoco.MjrRect(0, 0, width, height)
        self._image = np.zeros((height, width, 3), dtype=np.uint8)
        self._gl: Any = None

    def open(self, model: mujoco.MjModel) -> None:
        """Makes the context and takes the model's meshes and textures.

        Raises:
            RendererError: the library is missing, or another kind of OpenGL is in use here.
        """
        # MuJoCo looks up the functions of OpenGL by this, when a context is made.
        before = os.environ.get("MUJOCO_GL")
        os.environ["MUJOCO_GL"] = "osmesa"
        try:
            from mujoco.osmesa import GLContext

            self._gl = GLContext(self._rectangle.width, self._rectangle.height)
            self._gl.make_current()
            self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
        except Exception as error:  # each binding of OpenGL raises errors of its own
            raise RendererError(
                "pictures need Mesa's software renderer, which is not on this machine; "
                "`apt-get install libosmesa6` installs it"
            ) from error
        finally:
            if before is None:
                del os.environ["MUJOCO_GL"]
            else:
                os.environ["MUJOCO_GL"] = before
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)
        self._scene = mujoco.MjvScene(model, _MOST_GEOMS)
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED.value
        self._camera.fixedcamid = 0
        self._model, self._option = model, mujoco.MjvOption()

    def render(self, data: mujoco.MjData) -> Image:
        """The image, RGB, (height, width, 3)."""
        self._gl.make_current()
        mujoco.mjv_updateScene(
            self._model,
            data,
            self._option,
            None,
            self._camera,
            mujoco.mjtCatBit.mjCAT_ALL.value,
            self._scene,
        )
        mujoco.mjr_render(self._rectangle, self._scene, self._context)
        mujoco.mjr_readPixels(self._image, None, self._rectangle, self._context)
        return np.ascontiguousarray(self._image[::-1])

    def close(self) -> None:
        """Frees the context."""
        if self._gl is not None:
            self._context.free()
            self._gl.free()
            self._gl = None
