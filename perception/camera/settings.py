"""Settings of a camera, as a configuration has them."""

import msgspec

LONGEST_EXPOSURE, SHORTEST_EXPOSURE = 1.0, 1e-4
"""Bounds of the exposure time [s]."""


class DeviceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a camera is set. What is not given stays as the camera has it.

    Attributes:
        size: width and height [px]; those of the rig file if not given.
        format: of the pixels, four letters like MJPG, YUYV or GREY.
        rate: frames a second [Hz].
        exposure: time [s]; switches the automatic exposure off.
        gain: in the camera's own unit.
        focus: in the camera's own unit; switches the automatic focus off.
        white_balance: colour temperature [K]; switches the automatic white balance off.
    """

    size: tuple[int, int] | None = None
    format: str = ""
    rate: float | None = None
    exposure: float | None = None
    gain: float | None = None
    focus: float | None = None
    white_balance: float | None = None

    @property
    def problem(self) -> str:
        """Why no camera can be set so; empty if one can."""
        if self.size is not None and not all(1 <= side <= 20_000 for side in self.size):
            return f"size = {list(self.size)} must be positive"
        if self.format and (len(self.format) != 4 or not self.format.isascii()):
            return f'format = "{self.format}" must be four letters, like "MJPG"'
        if self.rate is not None and not 0 < self.rate <= 1000:
            return f"rate = {self.rate} Hz must lie in (0, 1000]"
        if self.exposure is not None and not SHORTEST_EXPOSURE <= self.exposure <= LONGEST_EXPOSURE:
            return f"exposure = {self.exposure} s must lie in {SHORTEST_EXPOSURE}..1; 5 ms is 0.005"
        for name in ("gain", "focus", "white_balance"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < float("inf"):
                return f"{name} = {value} must not be negative"
        return ""
