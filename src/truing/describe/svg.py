"""How is the diagram drawn? A graph in, one SVG file out that needs nothing else: no font, no script, no network.

It follows the reader's light or dark theme. What happens on delete is the colour of an arrow, and in its tooltip.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Final
from xml.sax.saxutils import escape

from truing.describe.graph import Arrow, Box, Graph, Line
from truing.describe.layout import Layout, Link, Place, Size, lay_out
from truing.describe.texts import visible
from truing.names import QualifiedName, idents

_ROW: Final = 19
_HEAD: Final = 28
_CHARACTER: Final = 7.3
_TITLE_CHARACTER: Final = 7.9
_GUTTER: Final = 34
_PAD: Final = 11
_MARGIN: Final = 28
_LEGEND: Final = 46
_LONGEST_NAME: Final = 44
_LONGEST_TYPE: Final = 30
_LOOP: Final = 34
_TINTS: Final = 6

_KINDS: Final = {
    "CASCADE": ("cascade", "on delete cascade"),
    "SET NULL": ("null", "on delete set null"),
    "SET DEFAULT": ("default", "on delete set default"),
    "NO ACTION": ("refuse", "on delete no action"),
    "RESTRICT": ("refuse", "on delete restrict"),
}

_STYLE: Final = """
svg { --paper: #ffffff; --box: #ffffff; --line: #c9d1d9; --text: #1f2328; --soft: #656d76;
  --cascade: #cf222e; --null: #0969da; --default: #8250df; --refuse: #57606a;
  --t0: #ddf4ff; --t1: #dafbe1; --t2: #fff8c5; --t3: #fbefff; --t4: #ffebe9; --t5: #eaeef2; }
@media (prefers-color-scheme: dark) { svg { --paper: #0d1117; --box: #161b22; --line: #3d444d; --text: #e6edf3;
  --soft: #9198a1; --cascade: #ff7b72; --null: #58a6ff; --default: #bc8cff; --refuse: #8b949e;
  --t0: #12304f; --t1: #12361f; --t2: #3a2f0b; --t3: #2e1f45; --t4: #43191c; --t5: #262c34; } }
text { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: var(--text); }
.title { font-size: 13px; font-weight: 600; } .soft { fill: var(--soft); }
.key { font-size: 9px; font-weight: 600; fill: var(--soft); } .end { text-anchor: end; }
.box { fill: var(--box); stroke: var(--line); } .box.edge { fill: none; }
.outside { stroke-dasharray: 4 3; } .paper { fill: var(--paper); }
.arrow { fill: none; stroke-width: 1.4; } .optional { stroke-dasharray: 6 4; }
.cascade { stroke: var(--cascade); } .null { stroke: var(--null); }
.default { stroke: var(--default); } .refuse { stroke: var(--refuse); }
g.edge:hover .arrow { stroke-width: 3; } .ring { fill: var(--paper); }
"""


def svg(graph: Graph) -> str:
    """Draw the diagram."""
    boxes = {box.name.sql: box for box in graph.boxes}
    sizes = {name: _size(box) for name, box in boxes.items()}
    apart = [arrow for arrow in graph.arrows if arrow.child != arrow.parent]
    links = [
        Link(
            arrow.parent.sql,
            arrow.child.sql,
            _port(boxes[arrow.parent.sql], arrow.targets),
            _port(boxes[arrow.child.sql], arrow.columns),
            f"{arrow.on_delete} {arrow.optional}",
        )
        for arrow in apart
    ]
    layout = lay_out(sizes, links)
    loops = [arrow for arrow in graph.arrows if arrow.child == arrow.parent]
    room = _LOOP if loops else 0
    width = max(layout.width + room, _legend_width(graph)) + 2 * _MARGIN
    height = layout.height + 2 * _MARGIN + _LEGEND
    size = f"{width:.0f} {height:.0f}"
    schemas = sorted({box.name.schema for box in graph.boxes})
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" width="{width:.0f}" height="{height:.0f}"',
        f' role="img" aria-label="{len(boxes)} tables and {len(graph.arrows)} foreign keys">',
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" width="{width:.0f}" height="{height:.0f}"/>',
        *_legend(graph),
        f'<g transform="translate({_MARGIN} {_MARGIN + _LEGEND})">',
        *_arrows(apart, layout),
        *(_loop(arrow, layout.places[arrow.child.sql], boxes[arrow.child.sql]) for arrow in loops),
        *(_box(box, layout.places[name], schemas.index(box.name.schema) % _TINTS) for name, box in boxes.items()),
        "</g>",
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _size(box: Box) -> Size:
    title = _PAD * 2 + _cells(_cut(box.title, _LONGEST_NAME)) * _TITLE_CHARACTER
    rows = [_cells(_name(line)) + _cells(_type(line)) + 2 for line in box.lines]
    width = max([title, *(_GUTTER + _PAD + cells * _CHARACTER for cells in rows), 120.0])
    return Size(
        round(width), _HEAD + (len(box.lines) + bool(box.hidden)) * _ROW + (5 if box.lines or box.hidden else 0)
    )


def _cells(text: str) -> int:
    """How many columns a text takes in a font of even width."""
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text
    )


def _cut(text: str, most: int) -> str:
    shown = visible(text)
    while _cells(shown) > most:
        shown = shown[: most - 1] if len(shown) > most else shown[:-2]
        shown += "…"
    return shown


def _name(line: Line) -> str:
    return _cut(line.name, _LONGEST_NAME)


def _type(line: Line) -> str:
    return _cut(line.type, _LONGEST_TYPE) + ("?" if line.optional else "")


def _port(box: Box, columns: tuple[str, ...]) -> float:
    """The height at which an arrow meets a box: the first of its columns, or the title."""
    names = [line.name for line in box.lines]
    row = next((names.index(each) for each in columns if each in names), None)
    return _HEAD / 2 if row is None else _HEAD + row * _ROW + _ROW / 2


def _box(box: Box, place: Place, tint: int) -> str:
    x, y, width, height = place
    outside = " outside" if box.outside else ""
    frame = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="6"'
    parts = [
        f"<g><title>{_text(box.name.sql)}</title>",
        f'<rect class="box{outside}" {frame}/>',
        f'<path style="fill: var(--t{tint})" d="{_head(place, whole=height <= _HEAD)}"/>',
        f'<rect class="box edge{outside}" {frame}/>',
        f'<text class="title" x="{x + _PAD:.1f}" y="{y + 18.5:.1f}">{_text(_cut(box.title, _LONGEST_NAME))}</text>',
    ]
    for number, line in enumerate(box.lines):
        base = y + _HEAD + number * _ROW + 13.5
        if line.keys:
            parts.append(f'<text class="key" x="{x + _PAD:.1f}" y="{base - 0.5:.1f}">{line.keys[0]}</text>')
        parts.append(f'<text x="{x + _GUTTER:.1f}" y="{base:.1f}">{_text(_name(line))}</text>')
        parts.append(f'<text class="soft end" x="{x + width - _PAD:.1f}" y="{base:.1f}">{_text(_type(line))}</text>')
    if box.hidden:
        base = y + _HEAD + len(box.lines) * _ROW + 13.5
        parts.append(f'<text class="soft" x="{x + _GUTTER:.1f}" y="{base:.1f}">+ {box.hidden} more</text>')
    return "\n".join([*parts, "</g>"])


def _head(place: Place, *, whole: bool) -> str:
    x, y, width, _ = place
    top = f"M{x:.1f} {y + 6:.1f}q0 -6 6 -6h{width - 12:.1f}q6 0 6 6"
    end = f"v{_HEAD - 12}q0 6 -6 6h{12 - width:.1f}q-6 0 -6 -6z" if whole else f"v{_HEAD - 6}h{-width:.1f}z"
    return top + end


def _arrows(arrows: list[Arrow], layout: Layout) -> Iterator[str]:
    for arrow, way, turned in zip(arrows, layout.ways, layout.turned, strict=True):
        (start_x, start_y), *rest = way
        path = [f"M{start_x:.1f} {start_y:.1f}"]
        at = (start_x, start_y)
        for number, (x, y) in enumerate(rest):
            if number % 2 == 0:
                half = (x - at[0]) / 2
                path.append(f"C{at[0] + half:.1f} {at[1]:.1f} {x - half:.1f} {y:.1f} {x:.1f} {y:.1f}")
            else:
                path.append(f"L{x:.1f} {y:.1f}")
            at = (x, y)
        # At its left end a sign looks to the right, and the other way round.
        left, right = (_many, _one) if turned else (_one, _many)
        signs = left(arrow, start_x, start_y, 1) + right(arrow, at[0], at[1], -1)
        yield _edge(arrow, "".join(path), signs)


def _edge(arrow: Arrow, path: str, signs: str) -> str:
    kind, words = _KINDS[arrow.on_delete]
    dashed = " optional" if arrow.optional else ""
    about = f"{_columns(arrow.child, arrow.columns)} → {_columns(arrow.parent, arrow.targets)}, {words} ({arrow.name})"
    return (
        f'<g class="edge"><title>{_text(about)}</title><path class="arrow {kind}{dashed}" d="{path}"/>'
        f'<path class="arrow {kind}" d="{signs}"/></g>'
    )


def _columns(table: QualifiedName, columns: tuple[str, ...]) -> str:
    return f"{table.sql} ({idents(columns)})"


def _many(arrow: Arrow, x: float, y: float, way: int) -> str:
    """The sign at the child: a crow's foot, or a bar where there is one at most."""
    if arrow.single:
        return f"M{x + 9 * way:.1f} {y - 5:.1f}v10"
    return f"M{x:.1f} {y - 5:.1f}L{x + 10 * way:.1f} {y:.1f}L{x:.1f} {y + 5:.1f}"


def _one(_arrow: Arrow, x: float, y: float, way: int) -> str:
    """The sign at the parent: a bar."""
    return f"M{x + 7 * way:.1f} {y - 5:.1f}v10"


def _loop(arrow: Arrow, place: Place, box: Box) -> str:
    x = place.x + place.width
    start, end = place.y + _port(box, arrow.columns), place.y + _port(box, arrow.targets)
    if start == end:
        end -= 8
    path = f"M{x:.1f} {start:.1f}C{x + _LOOP:.1f} {start:.1f} {x + _LOOP:.1f} {end:.1f} {x:.1f} {end:.1f}"
    return _edge(arrow, path, _many(arrow, x, start, 1) + _one(arrow, x, end, 1))


def _legend(graph: Graph) -> Iterator[str]:
    x = float(_MARGIN)
    for kind, words in _used(graph):
        yield f'<path class="arrow {kind}" d="M{x:.1f} {_MARGIN}h28"/>'
        yield f'<text class="soft" x="{x + 36:.1f}" y="{_MARGIN + 4}">{words}</text>'
        x += 36 + len(words) * _CHARACTER + 26


def _used(graph: Graph) -> list[tuple[str, str]]:
    """What the reader needs to be told: only what is there."""
    used = {arrow.on_delete for arrow in graph.arrows}
    said = [_KINDS[action] for action in _KINDS if action in used]
    if {"NO ACTION", "RESTRICT"} <= used:
        said[-2:] = [("refuse", "on delete no action or restrict")]
    if any(arrow.optional for arrow in graph.arrows):
        said.append(("refuse optional", "may be NULL"))
    return said


def _legend_width(graph: Graph) -> float:
    return sum(36 + len(words) * _CHARACTER + 26 for _, words in _used(graph))


def _text(text: str) -> str:
    return escape(visible(text))
