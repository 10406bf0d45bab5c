"""What ``effvit-edge label`` says at the end, for people or as JSON, and its exit code."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from effvit_edge.cli.progress import counted
from effvit_edge.core.errors import INTERRUPTED, EdgeError

if TYPE_CHECKING:
    from effvit_edge.live import RunReport, SourceReport
    from effvit_edge.runtime import Session

_LISTED = 8
_MS_DIGITS = 3


def exit_code(report: RunReport, several: bool) -> int:
    """130 interrupted, the error's own where nothing worked, 1 where frames suffered."""
    if report.stopped:
        return INTERRUPTED
    failures = [done.failure for done in report.sources if done.failure]
    if failures and not several:
        raise failures[0]
    if failures and report.frames == 0:
        return failures[0].exit_code
    suffered = any(done.losses.frames or done.losses.damaged for done in _finite(report))
    return EdgeError.exit_code if failures or suffered else 0


def _finite(report: RunReport) -> list[SourceReport]:
    """Those that should have been labelled whole; a camera loses frames as it pleases."""
    return [done for done in report.sources if not done.is_live]


def show(report: RunReport, model: Path, session: Session, as_json: bool, err: bool) -> None:
    """Say how it went.

    Args:
        report: of the run.
        model: its file.
        session: it, opened.
        as_json: for programs.
        err: on standard error, because standard output has the records.
    """
    if as_json:
        click.echo(json.dumps(summary(report, model, session), indent=2, ensure_ascii=False))
    elif report.frames:
        for line in _lines(report):
            click.echo(line, err=err)


def _lines(report: RunReport) -> list[str]:
    fps = report.frames / report.seconds if report.seconds else 0.0
    sources = counted(len(report.sources), "source")
    parts = [sources] if len(report.sources) > 1 else []
    parts += [counted(report.frames, "frame"), counted(report.decisions, "label")]
    parts += [counted(report.events, "event")] if report.events else []
    lines = [f"{', '.join(parts)}, {fps:.1f} frames/s"]
    if report.failures:
        lines.append(f"{len(report.failures)} of {sources} failed")
    if report.lost:
        lines.append(f"{counted(report.lost, 'frame')} lost")
    if report.damaged:
        lines.append(f"{counted(report.damaged, 'frame')} damaged")
    if report.skipped:
        lines.append(f"{counted(report.skipped, 'frame')} came too fast for the model")
    lines += [_live_line(done) for done in report.sources if done.is_live]
    for kind, path in (("labels", report.jsonl), ("events", report.events_table)):
        if path and path not in report.kept:
            lines.append(f"{kind}  {path}")
    lines += _listed("video", [path for path in report.videos if path not in report.kept])
    lines += _listed("clip", report.clips)
    return lines


def _live_line(done: SourceReport) -> str:
    """How a live source did, which nobody watches all the time."""
    parts = [counted(done.frames, "frame")]
    if done.health:
        parts.append(counted(done.health.reconnects, "reconnection"))
        parts.append(f"by {done.health.backend}")
    return f"source  {done.source}: {', '.join(parts)}"


def _listed(kind: str, paths: Sequence[Path]) -> list[str]:
    if len(paths) > _LISTED:
        folder = Path(os.path.commonpath([path.parent for path in paths]))
        return [f"{kind + 's':<8}{len(paths)} in {folder}"]
    return [f"{kind:<8}{path}" for path in paths]


def summary(report: RunReport, model: Path, session: Session) -> dict[str, Any]:
    """How it went, for programs."""
    return {
        "model": str(model),
        "provider": session.provider_report,
        "frames": report.frames,
        "labels": report.decisions,
        "events": report.events,
        "lost": report.lost,
        "damaged": report.damaged,
        "skipped": report.skipped,
        "failed": len(report.failures),
        "seconds": round(report.seconds, 3),
        "interrupted": report.stopped,
        "jsonl": _text(report.jsonl),
        "events_table": _text(report.events_table),
        "videos": [str(path) for path in report.videos],
        "clips": [str(path) for path in report.clips],
        "sources": [_source(done) for done in report.sources],
    }


def _source(done: SourceReport) -> dict[str, Any]:
    health = done.health
    return {
        "source": done.source,
        "live": done.is_live,
        "frames": done.frames,
        "labels": done.decisions,
        "events": done.events,
        "lost": done.losses.frames,
        "damaged": done.losses.damaged,
        "skipped": done.ledger.dropped,
        "undrawn": done.undrawn,
        "seconds": round(done.seconds, 3),
        "state": health.state if health else "failed",
        "backend": health.backend if health else None,
        "reconnects": health.reconnects if health else 0,
        "last_error": health.last_error if health else None,
        "failure": str(done.failure) if done.failure else None,
        "left_alone": done.hung,
    }


def _text(path: Path | None) -> str | None:
    return str(path) if path else None
