"""What pages of results are made of: HTML and SVG in one file that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from effvit_edge.bench import svg
from effvit_edge.bench.result import Result
from effvit_edge.core.files import atomic_path

CURVES = "percentiles; each nine as wide as the one before"
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --warn: #b45309; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 960px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin: 0; } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
p.what { margin: .2rem 0 1rem; opacity: .75; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { text-align: left; } tr.total td { font-weight: 600; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: .75rem; }
.card { background: var(--soft); border-radius: 8px; padding: .7rem .9rem; }
.card b { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
.card span { font-size: .85rem; opacity: .75; }
.taint { border-left: 4px solid var(--warn); padding: .3rem .8rem; margin: 1rem 0; }
.plots { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 380px), 1fr)); }
svg { width: 100%; height: auto; font: 11px system-ui, sans-serif; }
svg text { fill: currentColor; opacity: .8; } svg .g { stroke: var(--line); stroke-width: .6; }
figure { margin: 0; } figcaption { font-size: .85rem; opacity: .75; }
.scroll { overflow-x: auto; }
td.bar { width: 30%; padding-right: 0; } td.bar i { display: block; height: .8rem;
  border-radius: 2px; background: #2a78d6; }
table.bars { min-width: 34rem; }
table.bars td:first-child { max-width: 22rem; overflow-wrap: anywhere; }
"""


def write_page(path: Path, title: str, parts: Iterator[str]) -> None:
    """Write a page, atomically.

    Raises:
        OSError: it cannot be written.
    """
    body = "\n".join(parts)
    text = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )
    with atomic_path(path) as new:
        new.write_text(text, "utf-8")


def curves(results: Sequence[Result], names: Sequence[str]) -> str:
    """The percentiles of each result as a line."""
    # As far as there are ten queries above.
    highest = min(0.9999, max(1 - 10 / max(result.count for result in results), 0.9))
    series = [
        (name, [(s, v) for s, v in result.curve if s <= highest])
        for result, name in zip(results, names, strict=True)
    ]
    values = [value for _, points in series for _, value in points]
    return svg.lines(
        svg.nines(highest), svg.linear(min(values) * 0.95, max(values) * 1.02), series,
        ("percentile", "ms"),
    )  # fmt: skip


def table(rows: Sequence[Sequence[str]]) -> str:
    """A table whose first row is its head; a row called total stands out."""
    head, *body = rows
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = []
    for row in body:
        kind = ' class="total"' if row[0] == "total" else ""
        lines.append(f"<tr{kind}>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>")
    return f'<div class="scroll"><table><tr>{top}</tr>{"".join(lines)}</table></div>'


def barred(rows: Sequence[Sequence[str]], shares: Sequence[float]) -> str:
    """A table whose last column is a bar of each row's share of the largest."""
    head, *body = rows
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = [
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}"
        f'<td class="bar"><i style="width:{100 * share:.1f}%"></i></td></tr>'
        for row, share in zip(body, shares, strict=True)
    ]
    return f'<div class="scroll"><table class="bars"><tr>{top}</tr>{"".join(lines)}</table></div>'


def figure(plot: str, caption: str) -> str:
    """A plot with a line below it."""
    return f"<figure>{plot}<figcaption>{escape(caption)}</figcaption></figure>"
