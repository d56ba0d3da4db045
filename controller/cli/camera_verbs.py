"""`inhand cameras`: which cameras there are, and what they deliver."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import tyro

from inhand.controller.config.config import load_config
from inhand.result import print_json


@dataclass(frozen=True)
class Cameras:
    """List the cameras of this machine, and those of a configuration.

    Example: inhand cameras list --probe

    Attributes:
        action: `list` names each device, its stable name for the configuration, and its model.
        config: Configuration whose sources are listed too.
        probe: Open each source, and say size, rate and what it did not accept.
        json: Print them as JSON.
        sources: Addresses to open and look at, like rtsp://192.168.0.20/stream.
    """

    action: tyro.conf.Positional[Literal["list"]]
    config: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    probe: bool = False
    json: bool = False
    sources: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="SOURCE")] = ()

    def run(self) -> int:
        """Lists them."""
        # OpenCV takes a while to load, and other verbs do not need it.
        from inhand.perception.camera.listing import describe, look, video_nodes
        from inhand.perception.camera.settings import DeviceSettings
        from inhand.perception.cameras import load_rig
        from inhand.perception.errors import PerceptionError

        nodes = video_nodes()
        cameras = load_config(self.config).cameras
        rig = load_rig(cameras.rig) if cameras.rig and Path(cameras.rig).exists() else {}
        sources = {f"camera {name}": (address, name) for name, address in cameras.sources.items()}
        probe = self.probe or bool(self.sources)
        sources |= {address: (address, "") for address in self.sources}
        if self.probe:
            used = {Path(address).resolve() for address in cameras.sources.values()}
            free = [one.device for one in nodes if Path(one.device).resolve() not in used]
            sources |= {device: (device, "") for device in free}
        delivered: dict[str, dict[str, Any]] = {}
        for label, (address, name) in sources.items():
            entry: dict[str, Any] = {"source": address}
            if probe:
                settings = cameras.devices.get(name, DeviceSettings())
                size = (rig[name].width, rig[name].height) if name in rig else (640, 480)
                try:
                    entry |= msgspec.to_builtins(look(address, settings, size))
                except PerceptionError as error:
                    entry["problem"] = str(error)
            delivered[label] = entry
        if self.json:
            print_json({"devices": nodes, "sources": delivered})
            return 0
        print("\n".join(describe(nodes)) or "no video device on this machine")
        for label, entry in delivered.items():
            print(f"{label}: {_line(entry)}")
        return 0


def _line(entry: dict[str, Any]) -> str:
    """One source in words."""
    if "problem" in entry:
        return str(entry["problem"])
    if "size" not in entry:
        return str(entry["source"])
    width, height = entry["size"]
    note = f"; {entry['note']}" if entry["note"] else ""
    return f"{entry['source']}, {width}x{height}, {entry['rate']:.1f} frames/s{note}"
