"""`inhand recording export FILE --lerobot`: a data set in LeRobot's format, version 3.

The layout is that of https://huggingface.co/docs/lerobot/lerobot-dataset-v3: one Parquet file of
frames, one MP4 file for each camera, and tables of episodes and tasks. An episode begins with a
goal, and ends when the goal ends or the object is dropped.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from inhand.controller.errors import RecordingError
from inhand.controller.recording.folders import new_folder
from inhand.controller.recording.lerobot_video import write_videos
from inhand.controller.recording.reader import Recording
from inhand.controller.recording.tick_record import TickRecord
from inhand.hardware.model.hand import Hand, parse_hand
from inhand.hardware.records import Array
from inhand.perception.objects import ObjectDescription, parse_object

FRAMES_PER_SECOND = 20
"""Frames a second: the rate at which the policy acts."""

Rows = NDArray[np.float32]
"""A column with a row for each frame, (n, width)."""

STATE, ENVIRONMENT, ACTION = "observation.state", "observation.environment_state", "action"
_ONE_FILE = "chunk-000/file-000"
_POSE = ("x", "y", "z", "qw", "qx", "qy", "qz")
_GOAL = ("goal_qw", "goal_qx", "goal_qy", "goal_qz")


@dataclass(frozen=True)
class Frame:
    """One row of the data set.

    Attributes:
        t: time of the tick [s].
        state: measured angles [rad] and speeds [rad/s], (2 * n_actuators,), actuator order.
        environment: position [m] and quaternion (wxyz) of the object, and quaternion of the goal,
            world frame, (11,).
        action: targets that were sent [rad], (n_actuators,), actuator order.
    """

    t: float
    state: Array
    environment: Array
    action: Array


@dataclass(frozen=True)
class Episode:
    """The work on one goal.

    Attributes:
        task: the goal as text.
        frames: the rows.
    """

    task: str
    frames: list[Frame]


def export_lerobot(recording: Recording, folder: Path) -> dict[str, int]:
    """Writes a data set.

    Args:
        recording: the recording to export.
        folder: the data set's folder, which must not exist.

    Returns:
        Number of episodes, of frames, and of frames in each video.

    Raises:
        RecordingError: there is no goal in the recording, the folder exists or cannot be written,
            or a record is damaged.
    """
    header = recording.header
    hand = parse_hand(header.hand.encode(), recording.path)
    target = parse_object(header.object.encode(), recording.path, recorded=True)
    episodes = list(episodes_of(recording, target))
    if not episodes:
        raise RecordingError(
            f"export of {recording.path}: no goal was worked on in it, so there is no episode"
        )
    with new_folder(folder) as part:
        for name in ("data/chunk-000", "meta/episodes/chunk-000"):
            (part / name).mkdir(parents=True)
        frames = [frame for episode in episodes for frame in episode.frames]
        # A frame of a video is shown at its time in the data set, not in the recording.
        instants = np.array([frame.t + recording.monotonic_to_utc for frame in frames])
        videos = write_videos(recording, part, instants, FRAMES_PER_SECOND)
        tasks = list(dict.fromkeys(episode.task for episode in episodes))
        columns = {
            STATE: np.array([frame.state for frame in frames], dtype=np.float32),
            ENVIRONMENT: np.array([frame.environment for frame in frames], dtype=np.float32),
            ACTION: np.array([frame.action for frame in frames], dtype=np.float32),
        }
        _write_frames(part, episodes, tasks, columns)
        _write_tasks(part, tasks)
        _write_episodes(part, episodes, list(videos))
        counts = {"episodes": len(episodes), "frames": len(frames), "tasks": len(tasks)}
        features = _features(hand) | {name: video.feature for name, video in videos.items()}
        _write_json(part / "meta/info.json", _info(hand, counts, features))
        statistics = {name: _statistics(rows) for name, rows in columns.items()}
        statistics |= {name: video.statistics for name, video in videos.items()}
        _write_json(part / "meta/stats.json", statistics)
    return {**counts, **{name: len(frames) for name in videos}}


def episodes_of(recording: Recording, target: ObjectDescription) -> Iterator[Episode]:
    """The episodes of a recording, in order; none is empty."""
    frames: list[Frame] = []
    task, current, following = "", None, 0.0
    angles = speeds = None
    for record in recording.records():
        if not isinstance(record, TickRecord):
            continue
        inputs, out = record.inputs, record.outputs
        if inputs.joints is not None:
            angles, speeds = inputs.joints.position, inputs.joints.velocity
        goal = (out.goal.number, out.dropped) if out.goal else None
        if goal != current:
            if frames:
                yield Episode(task, frames)
            frames, current, following = [], goal, record.t
            task = _task(out.goal.quaternion, target.name) if out.goal else ""
        known = angles is not None and speeds is not None and out.pose and out.targets is not None
        if out.goal is None or not known or record.t < following - 1e-6:
            continue
        assert out.pose is not None and out.targets is not None
        assert angles is not None and speeds is not None
        environment = (out.pose.position, out.pose.quaternion, out.goal.quaternion)
        frames.append(
            Frame(
                record.t,
                np.concatenate([angles, speeds]),
                np.concatenate(environment),
                out.targets,
            )
        )
        following += 1.0 / FRAMES_PER_SECOND
    if frames:
        yield Episode(task, frames)


def _task(quaternion: Array, name: str) -> str:
    """A goal as text; quaternion wxyz."""
    numbers = ", ".join(f"{x:.3f}" for x in quaternion)
    return f"turn the {name} to the orientation ({numbers}) (quaternion wxyz)"


def _write_frames(
    folder: Path, episodes: list[Episode], tasks: list[str], columns: dict[str, Rows]
) -> None:
    lengths = [len(episode.frames) for episode in episodes]
    within = np.concatenate([np.arange(length) for length in lengths])
    order = np.array([tasks.index(episode.task) for episode in episodes])
    table: dict[str, Any] = {
        name: pa.FixedSizeListArray.from_arrays(rows.ravel(), rows.shape[1])
        for name, rows in columns.items()
    }
    table |= {
        "timestamp": (within / FRAMES_PER_SECOND).astype(np.float32),
        "frame_index": within,
        "episode_index": np.repeat(np.arange(len(episodes)), lengths),
        "index": np.arange(sum(lengths)),
        "task_index": np.repeat(order, lengths),
    }
    pq.write_table(pa.table(table), folder / f"data/{_ONE_FILE}.parquet")


def _write_tasks(folder: Path, tasks: list[str]) -> None:
    """Writes the tasks; pandas takes the text as index, as LeRobot's reader expects it."""
    table = pa.table({"task_index": np.arange(len(tasks)), "task": tasks})
    described = {
        "index_columns": ["task"],
        "column_indexes": [],
        "columns": [
            {
                "name": name,
                "field_name": name,
                "pandas_type": kind,
                "numpy_type": numpy,
                "metadata": None,
            }
            for name, kind, numpy in (
                ("task_index", "int64", "int64"),
                ("task", "unicode", "object"),
            )
        ],
    }
    table = table.replace_schema_metadata({"pandas": msgspec.json.encode(described)})
    pq.write_table(table, folder / "meta/tasks.parquet")


def _write_episodes(folder: Path, episodes: list[Episode], videos: list[str]) -> None:
    rows: list[dict[str, Any]] = []
    begin = 0
    for number, episode in enumerate(episodes):
        end = begin + len(episode.frames)
        row = {
            "episode_index": number,
            "tasks": [episode.task],
            "length": len(episode.frames),
            "data/chunk_index": 0,
            "data/file_index": 0,
            "dataset_from_index": begin,
            "dataset_to_index": end,
            "meta/episodes/chunk_index": 0,
            "meta/episodes/file_index": 0,
        }
        for name in videos:
            row |= {
                f"videos/{name}/chunk_index": 0,
                f"videos/{name}/file_index": 0,
                f"videos/{name}/from_timestamp": begin / FRAMES_PER_SECOND,
                f"videos/{name}/to_timestamp": end / FRAMES_PER_SECOND,
            }
        rows.append(row)
        begin = end
    pq.write_table(pa.Table.from_pylist(rows), folder / f"meta/episodes/{_ONE_FILE}.parquet")


def _features(hand: Hand) -> dict[str, Any]:
    """The columns of the data set, with the name of each number."""
    names = list(hand.actuator_names)
    measured = [f"{name}.{what}" for what in ("pos", "vel") for name in names]
    vectors = {STATE: measured, ENVIRONMENT: [*_POSE, *_GOAL], ACTION: names}
    features: dict[str, Any] = {
        name: {"dtype": "float32", "shape": [len(held)], "names": held}
        for name, held in vectors.items()
    }
    for name in ("timestamp", "frame_index", "episode_index", "index", "task_index"):
        kind = "float32" if name == "timestamp" else "int64"
        features[name] = {"dtype": kind, "shape": [1], "names": None}
    return features


def _info(hand: Hand, counts: dict[str, int], features: dict[str, Any]) -> dict[str, Any]:
    pattern = "chunk-{chunk_index:03d}/file-{file_index:03d}"
    return {
        "codebase_version": "v3.0",
        "robot_type": hand.name,
        **{f"total_{name}": count for name, count in counts.items()},
        "chunks_size": 1000,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": FRAMES_PER_SECOND,
        "splits": {"train": f"0:{counts['episodes']}"},
        "data_path": f"data/{pattern}.parquet",
        "video_path": f"videos/{{video_key}}/{pattern}.mp4",
        "features": features,
    }


def _statistics(rows: Rows) -> dict[str, list[Any]]:
    """Statistics of a column, (n, width)."""
    wide = np.asarray(rows, dtype=np.float64)
    found = {name: getattr(wide, name)(axis=0).tolist() for name in ("min", "max", "mean", "std")}
    return {**found, "count": [len(rows)]}


def _write_json(path: Path, content: object) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=4))
