"""Where does each box of the diagram go? Sizes and arrows in; places, and the way of each arrow around the boxes, out.

Layered, as drawings of hierarchies are (Sugiyama): referenced tables stand left of those that refer to them. A layer is
no taller than the drawing should be; an arrow that passes a layer gets a place of its own in it, so that no line runs
through a box. Everything is decided by names and sizes, so the same schema gives the same drawing.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import sqrt
from typing import Final, NamedTuple, TypeAlias

Node: TypeAlias = str | tuple[str, str, int]
"""A box by its name, or the place of an arrow in a layer that it passes: (box, port, layer)."""

GAP_Y: Final = 22
GAP_X: Final = 70
_PASSING: Final = 12
_RATIO: Final = 1.5
_SWEEPS: Final = 12
_TALLEST: Final = 100_000
"""More than a box is high: ports tell apart what is in one place of an order."""


class Size(NamedTuple):
    """How large a box is."""

    width: float
    height: float


class Link(NamedTuple):
    """An arrow between two boxes, and at which height of each it ends.

    Attributes:
        parent: the box that should stand to the left.
        child: the other one.
        parent_port, child_port: from the top of the box.
        kind: arrows of one kind and port share their way.
    """

    parent: str
    child: str
    parent_port: float
    child_port: float
    kind: str = ""


class Place(NamedTuple):
    """Where a box is."""

    x: float
    y: float
    width: float
    height: float


class Layout(NamedTuple):
    """Where everything is.

    Attributes:
        places: of the boxes.
        ways: for each link, in order: the points from its left end to its right one; between the second and third,
            fourth and fifth and so on it runs straight through a layer.
        turned: for each link, whether the child stands to the left.
        width, height: of the whole.
    """

    places: Mapping[str, Place]
    ways: tuple[tuple[tuple[float, float], ...], ...]
    turned: tuple[bool, ...]
    width: float
    height: float


def lay_out(sizes: Mapping[str, Size], links: Sequence[Link]) -> Layout:
    """Place the boxes.

    Args:
        sizes: of every box.
        links: between two different boxes.
    """
    ways: list[tuple[tuple[float, float], ...]] = [()] * len(links)
    turned = [False] * len(links)
    places: dict[str, Place] = {}
    width = height = 0.0
    for names in _components(sizes, links):
        numbers = [number for number, link in enumerate(links) if link.parent in names]
        part = _Part({name: sizes[name] for name in names}, [links[number] for number in numbers])
        part.draw(height)
        places |= part.places
        for number, way, turn in zip(numbers, part.ways, part.turned, strict=True):
            ways[number], turned[number] = way, turn
        width, height = max(width, part.width), part.bottom + 2 * GAP_Y
    linked = {name for link in links for name in (link.parent, link.child)}
    alone = [name for name in sizes if name not in linked]
    width, height = _grid({name: sizes[name] for name in alone}, places, width, height)
    return Layout(places, tuple(ways), tuple(turned), width, max(0.0, height - 2 * GAP_Y))


def _components(sizes: Mapping[str, Size], links: Sequence[Link]) -> list[set[str]]:
    """Find what hangs together, the largest first; boxes without a link are not in it."""
    near: defaultdict[str, set[str]] = defaultdict(set)
    for link in links:
        near[link.parent].add(link.child)
        near[link.child].add(link.parent)
    found: list[set[str]] = []
    seen: set[str] = set()
    for name in sizes:
        if name in seen or name not in near:
            continue
        part, todo = {name}, [name]
        while todo:
            new = near[todo.pop()] - part
            part |= new
            todo += new
        seen |= part
        found.append(part)
    return sorted(found, key=lambda part: (-len(part), min(part)))


def _grid(sizes: Mapping[str, Size], places: dict[str, Place], width: float, height: float) -> tuple[float, float]:
    """Put boxes without a link below the others, in columns."""
    if not sizes:
        return width, height
    across = max(each.width for each in sizes.values())
    area = sum((each.height + GAP_Y) * (across + GAP_Y) for each in sizes.values())
    columns = max(1, round(max(width, sqrt(area * _RATIO)) // (across + GAP_Y)))
    tops = [height] * min(columns, len(sizes))
    for name, size in sizes.items():
        column = tops.index(min(tops))
        places[name] = Place(column * (across + GAP_Y), tops[column], across, size.height)
        tops[column] += size.height + GAP_Y
    return max(width, len(tops) * (across + GAP_Y) - GAP_Y), max(tops) + GAP_Y


class _Part:
    """Boxes that hang together."""

    def __init__(self, sizes: Mapping[str, Size], links: Sequence[Link]) -> None:
        self._sizes, self._links = sizes, links
        self.places: dict[str, Place] = {}
        self.ways: list[tuple[tuple[float, float], ...]] = []
        self.width = self.bottom = 0.0
        back = _backward(sorted(sizes), links)
        self.turned = [number in back for number in range(len(links))]
        self._ends = [
            ((each.child, each.child_port), (each.parent, each.parent_port))
            if turn
            else ((each.parent, each.parent_port), (each.child, each.child_port))
            for each, turn in zip(links, self.turned, strict=True)
        ]
        self._layer = self._layers()
        self._pieces: list[tuple[Node, float, Node, float]] = []
        self._chains = [self._chain(*ends, link.kind) for ends, link in zip(self._ends, links, strict=True)]
        self._pieces = list(dict.fromkeys(self._pieces))
        self._order = self._ordered()

    def draw(self, top: float) -> None:
        """Give every box and arrow its coordinates, below ``top``."""
        heights = self._heights()
        lift = top - min(heights.values())
        widths = [max((self._sizes[n].width for n in layer if isinstance(n, str)), default=0) for layer in self._order]
        lefts, x = [], 0.0
        for number, width in enumerate(widths):
            lefts.append(x)
            crossing = sum(1 for one, _, _, _ in self._pieces if self._at(one) == number)
            x += width + GAP_X + min(110, 4 * crossing)
            self.width = max(self.width, lefts[-1] + width)
        for name, size in self._sizes.items():
            layer = self._layer[name]
            self.places[name] = Place(lefts[layer], heights[name] + lift, widths[layer], size.height)
        self.bottom = max(place.y + place.height for place in self.places.values())
        for ((left, left_port), (right, right_port)), chain in zip(self._ends, self._chains, strict=True):
            start, end = self.places[left], self.places[right]
            points = [(start.x + start.width, start.y + left_port)]
            for node in chain:
                y, at = heights[node] + lift + _PASSING / 2, self._at(node)
                points += [(lefts[at], y), (lefts[at] + widths[at], y)]
                self.bottom = max(self.bottom, y)
            self.ways.append((*points, (end.x, end.y + right_port)))

    def _layers(self) -> dict[str, int]:
        """Give every box a layer to the right of those it hangs on, with room in it."""
        before: defaultdict[str, set[str]] = defaultdict(set)
        after: defaultdict[str, set[str]] = defaultdict(set)
        for (left, _), (right, _) in self._ends:
            before[right].add(left)
            after[left].add(right)
        depth: dict[str, int] = {}
        order = _topological(sorted(self._sizes), before)
        for name in order:
            depth[name] = max((depth[each] + 1 for each in before[name]), default=0)
        area = sum((size.width + 2 * GAP_X) * (size.height + GAP_Y) for size in self._sizes.values())
        most = max(sqrt(area / _RATIO), max(size.height for size in self._sizes.values()) + GAP_Y)
        filled: defaultdict[int, float] = defaultdict(float)
        layer: dict[str, int] = {}
        # What others hang on comes first, so that the end of a full layer is what may go anywhere.
        for name in sorted(order, key=lambda each: (depth[each], -len(after[each]), order.index(each))):
            at = max((layer[each] + 1 for each in before[name]), default=0)
            while filled[at] and filled[at] + self._sizes[name].height > most:
                at += 1
            layer[name] = at
            filled[at] += self._sizes[name].height + GAP_Y
        for name in reversed(order):
            # A box that hangs on nothing stands next to the first that hangs on it.
            if not before[name]:
                nearest = min(layer[each] for each in after[name]) - 1
                if nearest > layer[name] and filled[nearest] + self._sizes[name].height <= most * 1.2:
                    filled[layer[name]] -= self._sizes[name].height + GAP_Y
                    filled[nearest] += self._sizes[name].height + GAP_Y
                    layer[name] = nearest
        used = {number: place for place, number in enumerate(sorted(set(layer.values())))}
        return {name: used[number] for name, number in layer.items()}

    def _chain(self, left: tuple[str, float], right: tuple[str, float], kind: str) -> tuple[Node, ...]:
        """Lead an arrow through the layers that it passes; those of one port and kind share their way."""
        (start, start_port), (end, end_port) = left, right
        chain: list[Node] = [
            (start, f"{start_port} {kind}", layer) for layer in range(self._layer[start] + 1, self._layer[end])
        ]
        nodes: list[Node] = [start, *chain, end]
        for number, (one, other) in enumerate(pairwise(nodes)):
            out = start_port if number == 0 else _PASSING / 2
            into = end_port if number == len(nodes) - 2 else _PASSING / 2
            self._pieces.append((one, out, other, into))
        return tuple(chain)

    def _at(self, node: Node) -> int:
        return self._layer[node] if isinstance(node, str) else node[2]

    def _height(self, node: Node) -> float:
        return self._sizes[node].height if isinstance(node, str) else _PASSING

    def _ordered(self) -> list[list[Node]]:
        """Order each layer so that few arrows cross."""
        nodes = dict.fromkeys([*sorted(self._sizes), *(node for chain in self._chains for node in chain)])
        layers: list[list[Node]] = [[] for _ in range(max(self._layer.values()) + 1)]
        for node in nodes:
            layers[self._at(node)].append(node)
        best, least = layers, self._crossings(layers)
        for sweep in range(_SWEEPS):
            rightwards = sweep % 2 == 0
            layers = [list(layer) for layer in layers]
            for number in range(len(layers)) if rightwards else reversed(range(len(layers))):
                rank = {node: place for layer in layers for place, node in enumerate(layer)}
                layers[number] = self._sorted(layers[number], rank, rightwards=rightwards)
            if (now := self._crossings(layers)) < least:
                best, least = layers, now
        return best

    def _sorted(self, layer: list[Node], rank: Mapping[Node, int], *, rightwards: bool) -> list[Node]:
        """Order a layer by where the neighbours on one side are; who has none there keeps its place."""
        found: defaultdict[Node, list[float]] = defaultdict(list)
        for one, out, other, into in self._pieces:
            if rightwards:
                found[other].append(rank[one] + out / _TALLEST)
            else:
                found[one].append(rank[other] + into / _TALLEST)
        wish = {node: sum(found[node]) / len(found[node]) if node in found else rank[node] for node in layer}
        return sorted(layer, key=lambda node: wish[node])

    def _crossings(self, layers: list[list[Node]]) -> int:
        rank = {node: place for layer in layers for place, node in enumerate(layer)}
        gaps: defaultdict[int, list[tuple[float, float]]] = defaultdict(list)
        for one, out, other, into in self._pieces:
            gaps[self._at(one)].append((rank[one] + out / _TALLEST, rank[other] + into / _TALLEST))
        count = 0
        for pairs in gaps.values():
            seen: list[float] = []
            for _, right in sorted(pairs):
                count += len(seen) - bisect_right(seen, right)
                insort(seen, right)
        return count

    def _heights(self) -> dict[Node, float]:
        """Move the boxes of each layer towards what they are linked with, keeping their order and distance."""
        y: dict[Node, float] = {}
        for layer in self._order:
            top = 0.0
            for node in layer:
                y[node] = top
                top += self._height(node) + self._gap(node)
        for sweep in range(_SWEEPS):
            rightwards = sweep % 2 == 0
            for number in range(len(self._order)) if rightwards else reversed(range(len(self._order))):
                self._settle(self._order[number], y, rightwards=rightwards)
        return y

    def _settle(self, layer: list[Node], y: dict[Node, float], *, rightwards: bool) -> None:
        """Solve one layer: as near as can be to the wishes (least squares), by pooling those that would overlap."""
        ports: defaultdict[Node, list[float]] = defaultdict(list)
        inside = set(layer)
        for one, out, other, into in self._pieces:
            if rightwards and other in inside:
                ports[other].append(y[one] + out - into)
            elif not rightwards and one in inside:
                ports[one].append(y[other] + into - out)
        offset = 0.0
        pools: list[tuple[float, float, list[Node]]] = []
        for node in layer:
            wish = sum(ports[node]) / len(ports[node]) if ports[node] else y[node]
            weight = float(len(ports[node])) or 0.1
            pools.append((wish - offset, weight, [node]))
            while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
                (upper, first, nodes), (lower, second, more) = pools[-2], pools[-1]
                both = first + second
                pools[-2:] = [((upper * first + lower * second) / both, both, [*nodes, *more])]
            offset += self._height(node) + self._gap(node)
        top = 0.0
        for at, _, nodes in pools:
            for node in nodes:
                y[node] = at + top
                top += self._height(node) + self._gap(node)

    @staticmethod
    def _gap(node: Node) -> float:
        return GAP_Y if isinstance(node, str) else 4


def _backward(names: Sequence[str], links: Sequence[Link]) -> set[int]:
    """Find links to turn around so that no circle is left."""
    out: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    into: defaultdict[str, int] = defaultdict(int)
    for number, link in enumerate(links):
        out[link.parent].append((number, link.child))
        into[link.child] += 1
    back: set[int] = set()
    done: set[str] = set()
    # From what hangs on nothing, so that a circle is cut where it is entered last.
    for name in sorted(names, key=lambda each: (into[each] > 0, each)):
        path: list[tuple[str, list[tuple[int, str]]]] = [(name, list(out[name]))] if name not in done else []
        open_: set[str] = {name}
        while path:
            at, rest = path[-1]
            if not rest:
                open_.discard(at)
                done.add(at)
                path.pop()
                continue
            number, to = rest.pop(0)
            if to in open_:
                back.add(number)
            elif to not in done:
                open_.add(to)
                path.append((to, list(out[to])))
    return back


def _topological(names: Sequence[str], before: Mapping[str, set[str]]) -> list[str]:
    left = {name: len(before[name]) for name in names}
    after: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        for each in sorted(before[name]):
            after[each].append(name)
    ready = [name for name in names if not left[name]]
    order: list[str] = []
    while ready:
        name = ready.pop(0)
        order.append(name)
        for each in after[name]:
            left[each] -= 1
            if not left[each]:
                insort(ready, each)
    return order
