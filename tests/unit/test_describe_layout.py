"""The drawing: boxes apart, lines around boxes, arrows at their columns, the same drawing every time."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from itertools import combinations
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truing.describe.graph import Arrow, Box, Graph, Line
from truing.describe.layout import Link, Size, lay_out
from truing.describe.svg import svg
from truing.names import QualifiedName


def parse(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314 - we have written it ourselves


SVG = "{http://www.w3.org/2000/svg}"


@st.composite
def drawings(draw):
    count = draw(st.integers(1, 24))
    names = [f"t{number}" for number in range(count)]
    sizes = {name: Size(draw(st.integers(120, 400)), draw(st.integers(28, 300))) for name in names}
    pairs = draw(st.lists(st.tuples(st.sampled_from(names), st.sampled_from(names)), max_size=40))
    links = [
        Link(one, other, draw(st.integers(1, 27)), draw(st.integers(1, 27)), draw(st.sampled_from("ab")))
        for one, other in pairs
        if one != other
    ]
    return sizes, links


@settings(max_examples=80, deadline=None)
@given(drawings())
def test_nothing_overlaps(drawing):
    sizes, links = drawing
    layout = lay_out(sizes, links)
    assert set(layout.places) == set(sizes)
    for one, other in combinations(layout.places.values(), 2):
        beside = one.x + one.width <= other.x or other.x + other.width <= one.x
        above = one.y + one.height <= other.y or other.y + other.height <= one.y
        assert beside or above
    for place in layout.places.values():
        assert min(place.x, place.y) >= 0
        assert place.x + place.width <= layout.width
        assert place.y + place.height <= layout.height + 1e-6


@settings(max_examples=80, deadline=None)
@given(drawings())
def test_every_arrow_goes_from_port_to_port_around_the_boxes(drawing):
    sizes, links = drawing
    layout = lay_out(sizes, links)
    for link, way, turned in zip(links, layout.ways, layout.turned, strict=True):
        parent, child = layout.places[link.parent], layout.places[link.child]
        left, right = (child, parent) if turned else (parent, child)
        ports = (link.child_port, link.parent_port) if turned else (link.parent_port, link.child_port)
        assert way[0] == pytest.approx((left.x + left.width, left.y + ports[0]))
        assert way[-1] == pytest.approx((right.x, right.y + ports[1]))
        assert len(way) % 2 == 0
        # It curves only between layers, where no box is, and passes a layer on a straight line.
        for (x0, _), (x1, _) in zip(way[0::2], way[1::2], strict=True):
            assert x0 < x1
            assert not [
                p for p in layout.places.values() if p.x < x1 and x0 < p.x + p.width and p not in (left, right)
            ] or (_between(layout, x0, x1, way))
        for (x0, y0), (x1, y1) in zip(way[1:-1:2], way[2:-1:2], strict=True):
            assert y0 == y1
            assert not [
                p for p in layout.places.values() if p.x < x1 and x0 < p.x + p.width and p.y < y0 < p.y + p.height
            ]


def _between(layout, x0, x1, way):
    """Boxes of other parts of the drawing may stand there, but above or below all of this arrow's own."""
    low, high = min(y for _, y in way), max(y for _, y in way)
    return all(p.y + p.height <= low or p.y >= high for p in layout.places.values() if p.x < x1 and x0 < p.x + p.width)


def test_a_tall_layer_is_broken_up():
    sizes = {f"t{number}": Size(200, 100) for number in range(41)}
    links = [Link("t0", f"t{number}", 40, 40) for number in range(1, 41)]
    layout = lay_out(sizes, links)
    assert 0.4 < layout.width / layout.height < 3


def test_a_circle_is_drawn():
    sizes = {name: Size(150, 80) for name in "abc"}
    links = [Link("a", "b", 10, 20), Link("b", "c", 10, 20), Link("c", "a", 10, 20)]
    layout = lay_out(sizes, links)
    assert sum(layout.turned) == 1
    assert len({place.x for place in layout.places.values()}) == 3


def sample(seed: int, count: int) -> Graph:
    chance = random.Random(seed)
    names = [QualifiedName(chance.choice(["shop", "auth"]), f"t{number}") for number in range(count)]
    lines = (Line("id", "bigint", ("PK",)), Line("a_id", "bigint", ("FK",), optional=True), Line("note", "text"))
    boxes = tuple(Box(name, name.name, lines) for name in sorted(names))
    arrows = tuple(
        Arrow(chance.choice(names), chance.choice(names), ("a_id",), ("id",), "k", "CASCADE", optional=True)
        for _ in range(count * 2)
    )
    return Graph(boxes, arrows)


def test_the_same_graph_is_the_same_drawing_in_every_process():
    program = "from tests.unit.test_describe_layout import *; import hashlib; print(hashlib.sha256(svg(sample(1, 40)).encode()).hexdigest())"
    seen = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(seen) == 1


@pytest.mark.parametrize("name", ['"><script>alert(1)</script>', "a&b", "x\x00y\x1b\u202e", "']]>", "é" * 60])
def test_hostile_names_are_text_in_the_drawing(name):
    at = QualifiedName(name, name)
    graph = Graph(
        (Box(at, name, (Line(name, name, ("PK",)),)),),
        (Arrow(at, at, (name.replace("\0", ""),), (name.replace("\0", ""),), name),),
    )
    if "\0" in name:
        at = QualifiedName("a", name.replace("\0", ""))
        graph = Graph((Box(at, name, (Line(name, name),)),), ())
    root = parse(svg(graph))
    assert {each.tag.removeprefix(SVG) for each in root.iter()} <= {
        "svg",
        "style",
        "rect",
        "g",
        "title",
        "path",
        "text",
    }
    assert not [key for each in root.iter() for key in each.attrib if key.startswith("on") or "href" in key]


def test_texts_fit_their_box():
    long = Line("n" * 63, "t" * 63, ("FK",), optional=True)
    graph = Graph((Box(QualifiedName("s", "t" * 63), "t" * 63, (long,)),), ())
    root = parse(svg(graph))
    width = max(
        float(each.attrib["width"]) for each in root.iter(f"{SVG}rect") if "box" in each.attrib.get("class", "")
    )
    texts = [each.text or "" for each in root.iter(f"{SVG}text")]
    assert any(text.endswith("…") for text in texts)
    assert all(len(text) * 7.3 < width for text in texts)


def test_an_arrow_ends_at_the_row_of_its_column():
    parent, child = QualifiedName("s", "p"), QualifiedName("s", "c")
    boxes = (
        Box(child, "c", (Line("id", "int"), Line("other", "int"), Line("p_id", "int"))),
        Box(parent, "p", (Line("name", "int"), Line("id", "int"))),
    )
    root = parse(svg(Graph(boxes, (Arrow(child, parent, ("p_id",), ("id",), "k"),))))
    (group,) = [each for each in root.iter(f"{SVG}g") if each.attrib.get("class") == "edge"]
    path = group.findall(f"{SVG}path")[0].attrib["d"].replace("M", "").replace("C", " ").split()
    ends = float(path[1]), float(path[-1])
    rows = {each.text: float(each.attrib["y"]) for each in root.iter(f"{SVG}text") if each.text == "p_id"}
    ids = sorted(float(each.attrib["y"]) for each in root.iter(f"{SVG}text") if each.text == "id")
    assert any(abs(ends[0] + 4 - y) < 1 for y in ids)
    assert abs(ends[1] + 4 - rows["p_id"]) < 1
    assert group.findtext(f"{SVG}title") == "s.c (p_id) → s.p (id), on delete no action (k)"
