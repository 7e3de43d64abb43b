"""TensorBoard event files without TensorFlow: an incrementally written file, and the values that it can hold.

TensorBoard's own `EventFileWriter` starts a thread per file and loads TensorFlow if it is installed; its `RecordWriter`
needs neither, and a search has a file per trial.
"""

import itertools
import math
import os
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.custom_scalar import metadata as layout_metadata
from tensorboard.plugins.text import metadata as text_metadata
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util.tensor_util import make_tensor_proto

PREFIX = "events.out.tfevents."
FLUSH_EVERY_S = 1.0
LARGEST = 3.4e38
"""TensorBoard's scalars have single precision; anything larger would become infinite."""

_number = itertools.count()


class EventFile:
    """A new event file in `folder`; on disk it lags by up to a second behind the latest addition, until `close`."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic):
        folder.mkdir(parents=True, exist_ok=True)
        origin = f"{socket.gethostname()}.{os.getpid()}.{next(_number)}"
        self._records = RecordWriter((folder / f"{PREFIX}{int(time.time()):010d}.{origin}").open("xb"))
        self._clock, self._flushed_s = clock, -math.inf
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))

    def add(self, step: int, *values: Any, wall_s: float | None = None) -> None:
        """Add `Summary.Value`s at one step; `wall_s` is when it happened, in seconds since 1970 (default: now)."""
        summary = Summary(value=values)
        self._write(Event(wall_time=time.time() if wall_s is None else wall_s, step=step, summary=summary))

    def flush(self) -> None:
        """Make everything that was added visible to readers."""
        self._records.flush()
        self._flushed_s = self._clock()

    @property
    def closed(self) -> bool:
        """Whether the file is complete."""
        return bool(self._records.closed)

    def close(self) -> None:
        """Flush and close; the file is complete."""
        self._records.close()

    def _write(self, event: Any) -> None:
        self._records.write(event.SerializeToString())
        if self._clock() - self._flushed_s >= FLUSH_EVERY_S:
            self.flush()


def scalars(numbers: Mapping[str, float]) -> list[Any]:
    """One value per tag; what TensorBoard cannot draw (NaN, infinity, beyond single precision) is left out."""
    drawable = {tag: number for tag, number in numbers.items() if abs(number) < LARGEST}
    return [Summary.Value(tag=tag, simple_value=number) for tag, number in drawable.items()]


def text(tag: str, markdown: str) -> Any:
    """A text in Markdown."""
    return _tensor(tag, markdown.encode(), text_metadata.create_summary_metadata(None, ""))


def layout(charts: Mapping[str, Mapping[str, list[str]]]) -> Any:
    """Charts with several lines: {category: {title: [tags]}}; tags are matched literally."""
    categories = [
        layout_pb2.Category(title=category, chart=[_chart(title, tags) for title, tags in by_title.items()])
        for category, by_title in charts.items()
    ]
    content = layout_pb2.Layout(category=categories).SerializeToString()
    return _tensor(layout_metadata.CONFIG_SUMMARY_TAG, content, layout_metadata.create_summary_metadata())


def _chart(title: str, tags: list[str]) -> Any:
    lines = layout_pb2.MultilineChartContent(tag=[f"^{tag}$" for tag in tags])
    return layout_pb2.Chart(title=title, multiline=lines)


def _tensor(tag: str, content: bytes, metadata: SummaryMetadata) -> Any:
    return Summary.Value(tag=tag, metadata=metadata, tensor=make_tensor_proto(content, dtype="string"))
