"""Which videos there are, and what they are labelled: folders of classes and CSV files."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from effvit_edge.core.errors import InputError
from effvit_edge.core.video import VIDEO_SUFFIXES


@dataclass(frozen=True)
class Video:
    """One labelled file."""

    path: Path
    label: int


@dataclass(frozen=True)
class VideoList:
    """Labelled files and the names of their classes."""

    labels: tuple[str, ...]
    videos: tuple[Video, ...]


def list_folder(root: Path) -> VideoList:
    """Every subfolder of ``root`` is a class, in alphabetical order; its videos lie anywhere below.

    Raises:
        InputError: no such folder, no classes, or a class without videos.
    """
    if not root.is_dir():
        raise InputError(f"There is no folder {root}; give the folder that holds one per class.")
    folders = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not folders:
        raise InputError(
            f"{root} has no subfolders; make one for each class and put its videos there."
        )
    videos = []
    for label, folder in enumerate(folders):
        files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in VIDEO_SUFFIXES)
        if not files:
            raise InputError(f"Class folder {folder} has no videos; add some or remove it.")
        videos += [Video(path, label) for path in files]
    return VideoList(tuple(folder.name for folder in folders), tuple(videos))


def read_csv(path: Path, root: Path) -> list[tuple[dict[str, str], int]]:
    """Rows of a CSV with at least the columns ``path`` and ``label``, each with its line number.

    Raises:
        InputError: unreadable, wrong encoding, a missing column or an empty cell, naming the line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            rows = [(row, reader.line_num) for row in reader]
            columns = list(reader.fieldnames or [])
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8."
        ) from error
    except csv.Error as error:
        raise InputError(f"{path} is not a CSV file: {error}.") from error
    for name in ("path", "label"):
        if name not in columns:
            raise InputError(
                f"{path} has no column '{name}'; its columns are {', '.join(columns) or 'none'}."
            )
    for row, line in rows:
        if None in row or None in row.values():
            raise InputError(f"{path}, line {line}: expected {len(columns)} cells.")
        if not row["path"] or not row["label"]:
            raise InputError(f"{path}, line {line}: path or label is empty.")
        if not (root / row["path"]).is_file():
            raise InputError(f"{path}, line {line}: there is no file {root / row['path']}.")
    if not rows:
        raise InputError(f"{path} has no rows.")
    return rows


def passes(row: dict[str, str], filters: Sequence[str], path: Path) -> bool:
    """Whether a row passes every filter, ``column=value`` or ``column!=value``.

    Raises:
        InputError: a filter that is neither, or names a column the file does not have.
    """
    for text in filters:
        column, separator, value = text.partition("=")
        negated = column.endswith("!")
        column = column.rstrip("!").strip()
        if not separator or not column:
            raise InputError(f"Filter '{text}' is neither column=value nor column!=value.")
        if column not in row:
            raise InputError(
                f"Filter '{text}': {path} has no column '{column}', only {', '.join(row)}."
            )
        if (row[column].strip() == value.strip()) == negated:
            return False
    return True


def list_csv(path: Path, root: Path, filters: Sequence[str] = ()) -> VideoList:
    """The videos of a CSV's rows that pass the filters.

    The classes are those of all rows, in alphabetical order, so that they do not depend on the
    filters.

    Raises:
        InputError: nothing passes, or see :func:`read_csv`.
    """
    rows = read_csv(path, root)
    labels = tuple(sorted({row["label"] for row, _ in rows}))
    videos = tuple(
        Video(root / row["path"], labels.index(row["label"]))
        for row, _ in rows
        if passes(row, filters, path)
    )
    if not videos:
        raise InputError(f"{path}: no row passes the filters {', '.join(filters)}.")
    return VideoList(labels, videos)


def open_split(
    root: Path,
    csv_name: str | None,
    *,
    train_filters: Sequence[str],
    eval_filters: Sequence[str],
    eval_share: float,
    seed: int,
) -> tuple[VideoList, VideoList]:
    """Training and evaluation videos of a folder or a CSV; see the recipe's ``data`` section.

    Raises:
        InputError: one filter without the other, a video in both parts, or a list that cannot be
            used.
    """
    if csv_name is None:
        if train_filters or eval_filters:
            raise InputError(
                "data.train and data.eval filter the rows of data.annotations; give that too."
            )
        return hold_out(list_folder(root), eval_share, seed)
    path = root / csv_name
    if not train_filters and not eval_filters:
        return hold_out(list_csv(path, root), eval_share, seed)
    if not (train_filters and eval_filters):
        raise InputError("Give both data.train and data.eval, or neither.")
    train, held = list_csv(path, root, train_filters), list_csv(path, root, eval_filters)
    shared = {video.path for video in train.videos} & {video.path for video in held.videos}
    if shared:
        raise InputError(
            f"{path}: {len(shared)} videos, such as {min(shared)}, pass both data.train and "
            f"data.eval; they would be tested on what they taught."
        )
    return train, held


def hold_out(videos: VideoList, share: float, seed: int) -> tuple[VideoList, VideoList]:
    """Split each class by itself: ``share`` of its videos, at least one, are for evaluation.

    Raises:
        InputError: a class has a single video.
    """
    by_label: dict[int, list[Video]] = defaultdict(list)
    for video in videos.videos:
        by_label[video.label].append(video)
    rng = np.random.default_rng(seed)
    train: list[Video] = []
    held: list[Video] = []
    for label, members in sorted(by_label.items()):
        if len(members) < 2:
            raise InputError(
                f"Class '{videos.labels[label]}' has one video; two are needed, one to train on "
                f"and one to evaluate on."
            )
        count = min(len(members) - 1, max(1, round(share * len(members))))
        chosen = set(rng.permutation(len(members))[:count].tolist())
        held += [v for i, v in enumerate(members) if i in chosen]
        train += [v for i, v in enumerate(members) if i not in chosen]
    return VideoList(videos.labels, tuple(train)), VideoList(videos.labels, tuple(held))
