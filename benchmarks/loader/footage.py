"""``python -m benchmarks.loader.footage``: a set as cameras record it, made from real clips.

1080 lines, 8 Mbit/s, a key frame every two seconds, B-frames.
"""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import av
import click
from av.video.reformatter import Interpolation, VideoReformatter

HEIGHT = 1080
BIT_RATE = 8_000_000
KEY_EVERY = 60
"""Frames from one key frame to the next."""


def make_full_hd(videos: Path, folder: Path, count: int) -> Path:
    """Scale some of a labelled set's clips up, once: what lies there already is kept.

    Args:
        videos: a folder with ``clips.csv``, whose rows have ``path`` and ``label``.
        folder: receives a folder of videos for each class.
        count: clips, spread evenly over the list.

    Returns:
        ``folder``.
    """
    with (videos / "clips.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    step = max(1, len(rows) // count)
    for row in rows[::step][:count]:
        target = folder / row["label"] / Path(row["path"]).with_suffix(".mp4").name
        if not target.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_suffix(".partial")
            scale_up(videos / row["path"], partial)
            shutil.move(partial, target)
    return folder


def scale_up(source: Path, target: Path) -> None:
    """Encode a clip anew at 1080 lines, with B-frames as phones and cameras write them."""
    reformatter = VideoReformatter()
    with av.open(str(source)) as clip, av.open(str(target), "w", format="mp4") as output:
        stream = clip.streams.video[0]
        width = round(stream.width * HEIGHT / stream.height / 2) * 2
        encoded = output.add_stream("libx264", rate=stream.average_rate)
        encoded.width, encoded.height, encoded.pix_fmt = width, HEIGHT, "yuv420p"
        encoded.bit_rate = BIT_RATE
        encoded.gop_size = KEY_EVERY
        encoded.options = {"preset": "veryfast", "maxrate": "10M", "bufsize": "16M"}
        for frame in clip.decode(stream):
            large = reformatter.reformat(
                frame, width, HEIGHT, "yuv420p", interpolation=Interpolation.BICUBIC
            )
            large.pts, large.time_base = frame.pts, frame.time_base
            output.mux(encoded.encode(large))
        output.mux(encoded.encode())


@click.command()
@click.option("--videos", type=click.Path(path_type=Path), required=True, help="With a clips.csv.")
@click.option("--count", default=20, show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder.")
def main(videos: Path, count: int, output: Path) -> None:
    """Scale clips up into a folder for each class."""
    click.echo(make_full_hd(videos, output, count))


if __name__ == "__main__":
    main()
