"""What the outputs of ``effvit-edge label`` are called, and that they replace nothing in use."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from effvit_edge.core.errors import InputError

if TYPE_CHECKING:
    from effvit_edge.cli.label_options import Given
    from effvit_edge.live import Lane
    from effvit_edge.sinks import RecordSink
    from effvit_edge.sources import SourceRef

STANDARD_OUTPUT = "-"
_NOT_PLAIN = re.compile(r"[^\w.-]+")


@dataclass(frozen=True)
class OutputPaths:
    """Where everything goes."""

    jsonl: Path | None
    """None for standard output."""
    videos: Mapping[str, Path] | None
    """By the name of the source; None for no videos."""
    events: Path | None
    clips: Path | None

    def all(self) -> list[Path]:
        """The files."""
        files = [*(self.videos or {}).values(), *filter(None, (self.jsonl, self.events))]
        return list(files)


def output_paths(given: Given, lanes: Sequence[Lane]) -> OutputPaths:
    """Where everything goes, by the options or by the names of the sources.

    Raises:
        InputError: an annotated video's name does not end in ``.mp4``, or a table's in ``.csv``.
    """
    base = _base_name(given.sources, lanes)
    jsonl = None if given.jsonl == STANDARD_OUTPUT else Path(given.jsonl or f"{base}.labels.jsonl")
    if given.events and given.events.suffix.lower() != ".csv":
        raise InputError(f"The table of events is a CSV file, and {given.events} ends otherwise.")
    return OutputPaths(jsonl, _videos(given, lanes, base), given.events, given.save_events)


def record_sink(paths: OutputPaths) -> RecordSink:
    """What writes the records."""
    from effvit_edge.sinks import JsonlFileSink, JsonlStreamSink

    return JsonlFileSink(paths.jsonl) if paths.jsonl else JsonlStreamSink(sys.stdout)


def check_outputs(lanes: Sequence[Lane], model: Path, paths: OutputPaths) -> None:
    """See that each output can be written, and replaces nothing that is read or written, too.

    Outputs are looked at under their partial names as well.

    Raises:
        InputError: it would, or something that is no file has the name.
        EnvironmentFault: it cannot be written.
    """
    from effvit_edge.sinks import check_place, partial_path

    files = [ref.path or Path(ref.uri) for lane in lanes for ref in lane.refs]
    used = {path.resolve(): "a source" for path in files}
    used[model.resolve()] = "the model"
    for output in paths.all():
        names = (output, partial_path(output))
        for path in names:
            kind = used.get(path.resolve())
            if kind:
                raise InputError(
                    f"{path} is {kind}, and writing {output} would replace it. Give another name."
                )
        check_place(output)
        used.update({path.resolve(): "another output" for path in names})
    if paths.clips:
        check_place(paths.clips / "clip.mp4")


def _videos(given: Given, lanes: Sequence[Lane], base: str) -> dict[str, Path] | None:
    """The annotated video of each source, by its name; live ones have one only when asked."""
    refs = [ref for lane in lanes for ref in lane.refs if given.video or not lane.is_live]
    if given.no_video or not refs:
        return None
    if _is_single(given.sources, lanes):
        path = Path(given.video or f"{base}.labelled.mp4")
        if path.suffix.lower() != ".mp4":
            raise InputError(f"The annotated video is an MP4 file, and {path} ends otherwise.")
        return {refs[0].name: path}
    folder = Path(given.video or f"{base}.labelled")
    names = video_names([_inside(ref) for ref in refs])
    return {ref.name: folder / name for ref, name in zip(refs, names, strict=True)}


def _inside(ref: SourceRef) -> str:
    """A source's name as a path that stays in the folder it is put in."""
    if ref.path is None:
        return plain_name(ref.name)
    path = Path(ref.name)
    inner = path.name if path.is_absolute() or ".." in path.parts else path.as_posix()
    return inner or plain_name(ref.name)


def video_names(names: Sequence[str]) -> list[str]:
    """``a.mkv`` becomes ``a.mp4``; where another would, too, both keep their ending.

    What is still the same then, as of two folders, is numbered.
    """
    plain = [_with_ending(name) for name in names]
    while True:
        counts = Counter(plain)
        clear = [
            new if counts[new] == 1 else f"{name}.mp4"
            for name, new in zip(names, plain, strict=True)
        ]
        if clear == plain:
            return _numbered(clear)
        plain = clear


def _with_ending(name: str) -> str:
    return Path(name).with_suffix(".mp4").as_posix()


def _numbered(names: Iterable[str]) -> list[str]:
    seen: Counter[str] = Counter()
    numbered = []
    for name in names:
        seen[name] += 1
        again = Path(name)
        numbered.append(name if seen[name] == 1 else f"{again.with_suffix('')}-{seen[name]}.mp4")
    return numbered


def _is_single(sources: Sequence[str], lanes: Sequence[Lane]) -> bool:
    return len(lanes) == 1 and len(lanes[0].refs) == 1 and not Path(sources[0]).is_dir()


def _base_name(sources: Sequence[str], lanes: Sequence[Lane]) -> str:
    """What the default outputs are called: beside the current folder's other files."""
    if len(sources) > 1:
        return "sources"
    if Path(sources[0]).is_dir():
        return Path(sources[0]).resolve().name or "root"
    name = lanes[0].refs[0].name if len(lanes[0].refs) == 1 else sources[0]
    return plain_name(name) if "://" in name or "*" in name or ":" in name else Path(name).stem


def plain_name(text: str) -> str:
    """The name of a stream as a file may be called: ``rtsp://cam/1`` is ``rtsp-cam-1``."""
    return _NOT_PLAIN.sub("-", text).strip("-.")[:80] or "source"
