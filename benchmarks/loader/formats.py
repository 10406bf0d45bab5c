"""``python -m benchmarks.loader.formats``: which storage of a segment gives clips fastest.

Every candidate keeps the same frames, already scaled down. What is timed is the processor time of
one process, from the segment's bytes in memory to RGB frames.
"""

from __future__ import annotations

import io
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import click
import numpy as np
import numpy.typing as npt
from av.video.reformatter import VideoReformatter

from benchmarks.loader.report import write_result
from effvit_edge.core.optional import require
from effvit_edge.core.video import VideoReader
from effvit_edge.data.clips import shrink_short_side

cv2 = require("cv2", "video")
Frames = npt.NDArray[np.uint8]
_TICKS = 90_000


@dataclass(frozen=True)
class Format:
    """A way to store the frames of a segment."""

    name: str
    encode: Callable[[Sequence[Frames], float], bytes]
    """Frames and their rate to bytes."""
    decode: Callable[[bytes, Sequence[int]], list[Frames]]
    """Bytes and increasing frame numbers to those frames."""


def encode_video(
    frames: Sequence[Frames], fps: float, *, codec: str, gop: int, options: Mapping[str, str]
) -> bytes:
    """An MP4 in memory, closed groups of pictures, no B-frames."""
    buffer = io.BytesIO()
    height, width = frames[0].shape[:2]
    with av.open(buffer, "w", format="mp4") as output:
        stream = output.add_stream(codec, rate=round(fps))
        stream.width, stream.height = width // 2 * 2, height // 2 * 2
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.gop_size = gop
        stream.codec_context.thread_count = 1
        stream.codec_context.max_b_frames = 0
        stream.options = dict(options)
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(frame[: stream.height, : stream.width]), format="rgb24"
            )
            output.mux(stream.encode(picture))
        output.mux(stream.encode())
    return buffer.getvalue()


def decode_video(content: bytes, numbers: Sequence[int], *, gop: int) -> list[Frames]:
    """Seek to the key frame before each wanted frame, unless decoding on is shorter."""
    reformatter = VideoReformatter()
    chosen: list[Frames] = []
    with av.open(io.BytesIO(content)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        ticks = round(1 / (stream.average_rate * stream.time_base))
        decoder: Iterator[Any] = iter(())
        position = -1  # the frame decoded last
        for number in numbers:
            if position < 0 or number // gop > (position + 1) // gop:
                container.seek(number * ticks, stream=stream)
                decoder = container.decode(stream)
                position = number // gop * gop - 1
            while position < number:
                frame = next(decoder)
                position += 1
            assert frame.pts == number * ticks, (frame.pts, number * ticks)
            rgb = reformatter.reformat(frame, format="rgb24").to_ndarray()
            chosen.append(np.asarray(rgb, np.uint8))
    return chosen


def encode_jpeg(frames: Sequence[Frames], fps: float, *, quality: int) -> bytes:
    """All frames as JPEG one after another, behind a table of where each begins."""
    parameters = [cv2.IMWRITE_JPEG_QUALITY, quality]
    pictures = [cv2.imencode(".jpg", frame[..., ::-1], parameters)[1].tobytes() for frame in frames]
    ends = np.cumsum([len(picture) for picture in pictures])
    table = struct.pack(f"<{len(ends) + 1}I", len(ends), *ends.tolist())
    return table + b"".join(pictures)


def decode_jpeg(content: bytes, numbers: Sequence[int]) -> list[Frames]:
    """The wanted pictures only."""
    (count,) = struct.unpack_from("<I", content)
    ends = (0, *struct.unpack_from(f"<{count}I", content, 4))
    base = 4 * (count + 1)
    chosen = []
    for number in numbers:
        size = ends[number + 1] - ends[number]
        picture = np.frombuffer(content, np.uint8, size, base + ends[number])
        rgb: Frames = cv2.cvtColor(cv2.imdecode(picture, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        chosen.append(rgb)
    return chosen


def candidates() -> list[Format]:
    """Everything that is compared."""
    found = []
    for gop in (1, 4, 8, 16, 32):
        for crf, tune in (("18", "fastdecode"), ("23", "fastdecode"), ("20", "")):
            if tune == "" and gop not in (1, 8):
                continue
            options = {"crf": crf, "preset": "veryfast", **({"tune": tune} if tune else {})}
            encode = partial(encode_video, codec="libx264", gop=gop, options=options)
            name = f"H.264, GOP {gop}, crf {crf}{', ' + tune if tune else ''}"
            found.append(Format(name, encode, partial(decode_video, gop=gop)))
    for quality in (85, 90, 95):
        encode_pictures = partial(encode_jpeg, quality=quality)
        found.append(Format(f"JPEG {quality}", encode_pictures, decode_jpeg))
    motion_jpeg = partial(encode_video, codec="mjpeg", gop=1, options={"qmin": "3", "qmax": "3"})
    found.append(Format("MJPEG in MP4, q 3", motion_jpeg, partial(decode_video, gop=1)))
    return found


@dataclass(frozen=True)
class Footage:
    """One clip, decoded and scaled down."""

    frames: list[Frames]
    fps: float


def load(path: Path, short_side: int) -> Footage:
    """A whole video, scaled down as training would keep it."""
    with VideoReader(path, threads=False) as reader:
        frames = []
        while (picture := reader.read()) is not None:
            frames.append(shrink_short_side(picture.to_rgb(), short_side=short_side))
        return Footage(frames, reader.nominal_fps or 25.0)


def wanted(kind: str, footage: Footage, rng: np.random.Generator) -> list[int]:
    """Frame numbers of one clip: ``dense N@fps`` or ``uniform N``."""
    count = len(footage.frames)
    rule, _, size = kind.partition(" ")
    if rule == "uniform":
        edges = np.linspace(0, count, int(size) + 1)
        return sorted({int(rng.uniform(a, b)) for a, b in pairwise(edges)})
    number, fps = (float(part) for part in size.split("@"))
    steps = np.floor(np.arange(number) * footage.fps / fps).astype(int)
    start = int(rng.integers(max(1, count - int(steps[-1]))))
    return sorted(set(np.minimum(start + steps, count - 1).tolist()))


KINDS = ("dense 8@10", "dense 16@15", "dense 24@10", "uniform 16")


def psnr(found: Sequence[Frames], original: Sequence[Frames]) -> float:
    """Mean over frames, decibels; on the part that both have."""
    values = []
    for a, b in zip(found, original, strict=True):
        height, width = min(a.shape[0], b.shape[0]), min(a.shape[1], b.shape[1])
        gap = a[:height, :width].astype(float) - b[:height, :width]
        values.append(10 * np.log10(255**2 / max(1e-9, float((gap**2).mean()))))
    return float(np.mean(values))


def measure(chosen: Format, clips: Sequence[Footage], repeats: int) -> dict[str, Any]:
    """Figures of one format over all clips."""
    started = time.process_time()
    blobs = [chosen.encode(clip.frames, clip.fps) for clip in clips]
    encoding = time.process_time() - started
    seconds = sum(len(clip.frames) / clip.fps for clip in clips)
    figures: dict[str, Any] = {
        "format": chosen.name,
        "kilobytes_per_second": sum(map(len, blobs)) / seconds / 1e3,
        "encode_frames_per_second_core": sum(len(c.frames) for c in clips) / encoding,
    }
    middle = [len(clip.frames) // 2 for clip in clips]
    found = [chosen.decode(blob, [m])[0] for blob, m in zip(blobs, middle, strict=True)]
    figures["psnr_db"] = psnr(found, [c.frames[m] for c, m in zip(clips, middle, strict=True)])
    for kind in KINDS:
        rng = np.random.default_rng(0)
        spent, made = 0.0, 0
        for _ in range(repeats):
            for clip, blob in zip(clips, blobs, strict=True):
                numbers = wanted(kind, clip, rng)
                started = time.process_time()
                chosen.decode(blob, numbers)
                spent += time.process_time() - started
                made += 1
        figures[f"clips_per_second_core, {kind}"] = made / spent
    return figures


@click.command()
@click.option("--videos", type=click.Path(path_type=Path), required=True, help="Folder of videos.")
@click.option("--clips", default=12, show_default=True)
@click.option("--short-side", default=160, show_default=True)
@click.option("--repeats", default=3, show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="JSON file.")
def main(videos: Path, clips: int, short_side: int, repeats: int, output: Path | None) -> None:
    """Measure every candidate and print a table."""
    cv2.setNumThreads(1)
    paths = sorted(p for p in videos.rglob("*") if p.suffix in (".mp4", ".mkv"))
    paths = paths[:: max(1, len(paths) // clips)][:clips]
    footage = [load(path, short_side) for path in paths]
    rows = []
    click.echo("| format | kB a second | encode f/s | PSNR dB | " + " | ".join(KINDS) + " |")
    click.echo("|---" * (4 + len(KINDS)) + "|")
    for chosen in candidates():
        row = measure(chosen, footage, repeats)
        rows.append(row)
        speeds = [row[f"clips_per_second_core, {kind}"] for kind in KINDS]
        click.echo(
            f"| {chosen.name} | {row['kilobytes_per_second']:.0f} "
            f"| {row['encode_frames_per_second_core']:.0f} | {row['psnr_db']:.1f} | "
            + " | ".join(f"{speed:.0f}" for speed in speeds)
            + " |"
        )
    if output is not None:
        method = {"clips": len(footage), "short_side": short_side, "repeats": repeats}
        write_result(output, {"method": method, "formats": rows})


if __name__ == "__main__":
    main()
