"""A rule is a function with its documentation; a registry is made from modules; a selection says which are used."""

from __future__ import annotations

import sys
import types
from importlib.metadata import EntryPoint

import pytest

from truing import rule as rule_module
from truing.errors import ConfigurationError, UsageError
from truing.finding import Severity
from truing.rule import Registry, Selection, did_you_mean, parse_docs, rule

PAGE = """Summary.

## What it does
Finds it.

## Why is this bad?
It is bad.

## Example
```sql
DROP TABLE t;
```
Use instead:
```sql
SELECT 1;
```

## More
Free text.
"""


def make(code: str = "TR101", name: str = "bad-thing", page: str = PAGE, on: type = str):
    def check(_subject, _context):
        return ()

    check.__doc__ = page
    return rule(code, name, on=on, severity=Severity.ERROR, since="0.1")(check)


def test_docstring_becomes_documentation():
    docs = make().docs
    assert (docs.what, docs.why) == ("Finds it.", "It is bad.")
    assert (docs.example.language, docs.example.code) == ("sql", "DROP TABLE t;\n")
    assert docs.use_instead.code == "SELECT 1;\n"
    assert docs.notes == "## More\nFree text."


@pytest.mark.parametrize(
    ("removed", "said"),
    [
        ("## What it does\nFinds it.", "What it does"),
        ("## Why is this bad?\nIt is bad.", "Why is this bad"),
        ("```sql\nDROP TABLE t;\n```", "no code block in '## Example'"),
        ("Use instead:", "Use instead"),
        ("```sql\nSELECT 1;\n```", "after 'Use instead:'"),
    ],
    ids=["what", "why", "bad-block", "use-instead", "good-block"],
)
def test_incomplete_docstring_is_refused_by_the_part_that_is_missing(removed, said):
    assert removed in PAGE
    with pytest.raises(ValueError, match=r"rule bad-thing") as refused:
        make(page=PAGE.replace(removed, ""))
    assert said in str(refused.value)


@pytest.mark.parametrize(("code", "name"), [("tr1", "bad-thing"), ("TR101", "Bad"), ("TR101", "single")])
def test_ill_formed_names_are_refused(code, name):
    with pytest.raises(ValueError, match=r"rule (code|name)"):
        make(code, name)


def test_dispatch_is_by_type():
    assert make(on=int).applies_to(1)
    assert not make(on=int).applies_to("1")


@pytest.mark.parametrize("other", [("TR101", "other-thing"), ("TR102", "bad-thing")], ids=["code", "name"])
def test_two_rules_with_one_name_are_refused_with_both_places(other):
    with pytest.raises(ConfigurationError, match=r"Two rules have the (code|name).*test_rule_framework"):
        Registry([make(), make(*other)])


def test_the_same_rule_twice_is_one_rule():
    one = make()
    assert len(Registry([one, one])) == 1


@pytest.mark.parametrize("text", ["bad-thing", "BAD-THING", "TR101", "tr101"])
def test_rules_are_found_by_name_and_by_code(text):
    one = make()
    assert Registry([one]).find(text) is one


def test_unknown_rule_gets_the_nearest_name():
    with pytest.raises(UsageError) as refused:
        Registry([make()]).find("bad-think")
    assert refused.value.advice == "Did you mean bad-thing?"


@pytest.mark.parametrize(
    ("select", "ignore", "names"),
    [
        (["ALL"], [], {"bad-thing", "other-thing", "far-thing"}),
        (["all"], ["TR1"], {"far-thing"}),
        (["TR1"], ["bad-thing"], {"other-thing"}),
        (["TR101"], ["TR1"], {"bad-thing"}),
        (["bad-thing"], ["bad-thing"], set()),
        ([], [], set()),
        (["ALL"], ["ALL"], set()),
        (["tr201"], [], {"far-thing"}),
    ],
)
def test_the_more_exact_entry_wins(select, ignore, names):
    registry = Registry([make(), make("TR102", "other-thing"), make("TR201", "far-thing")])
    assert Selection.of(registry, select, ignore).names == names


@pytest.mark.parametrize(("key", "entry"), [("select", "bad-thin"), ("ignore", "TR9"), ("select", "")])
def test_entries_that_stand_for_nothing_are_refused(key, entry):
    with pytest.raises(ConfigurationError, match=f"pyproject.toml: {key} names no rule: {entry!r}"):
        Selection.of(Registry([make()]), source="pyproject.toml", **{key: [entry]})


def test_rules_are_discovered_in_packages_and_their_modules(tmp_path, monkeypatch):
    package = tmp_path / "some_rules"
    package.mkdir()
    package.joinpath("__init__.py").write_text("")
    header = "from tests.unit.test_rule_framework import make\n"
    package.joinpath("one.py").write_text(header + "one = make('ZZ001', 'one-thing')\n")
    package.joinpath("two.py").write_text(header + "from some_rules.one import one\ntwo = make('ZZ002', 'two-thing')\n")
    monkeypatch.syspath_prepend(tmp_path)
    import some_rules  # noqa: PLC0415

    try:
        assert list(Registry.discover(some_rules, group="")) == ["one-thing", "two-thing"]
    finally:
        for name in [each for each in sys.modules if each.startswith("some_rules")]:
            del sys.modules[name]


def _plugin(monkeypatch, value: object) -> None:
    module = types.ModuleType("a_plugin")
    module.thing = value
    monkeypatch.setitem(sys.modules, "a_plugin", module)
    point = EntryPoint("thing", "a_plugin:thing" if value is not None else "a_plugin", rule_module.ENTRY_POINT_GROUP)
    monkeypatch.setattr("importlib.metadata.entry_points", lambda *, group: [point] if group == point.group else [])


def test_third_parties_bring_rules_by_entry_point(monkeypatch):
    one = make("ZZ001", "their-thing")
    _plugin(monkeypatch, one)
    assert Registry.discover()["their-thing"] is one


def test_an_entry_point_that_is_no_rule_is_refused(monkeypatch):
    _plugin(monkeypatch, 17)
    with pytest.raises(ConfigurationError, match="neither a rule nor a module"):
        Registry.discover()


def test_an_entry_point_that_cannot_be_loaded_is_named(monkeypatch):
    point = EntryPoint("thing", "no_such_module_at_all", rule_module.ENTRY_POINT_GROUP)
    monkeypatch.setattr("importlib.metadata.entry_points", lambda *, group: [point] if group else [])
    with pytest.raises(ConfigurationError, match=r"'thing' \(no_such_module_at_all\).*cannot be loaded"):
        Registry.discover()


def test_did_you_mean_names_everything_when_nothing_is_near():
    assert did_you_mean("qqq", ["alpha", "beta"]) == "Known: alpha, beta."


def test_parse_docs_tells_what_is_missing_first():
    with pytest.raises(ValueError, match="What it does"):
        parse_docs("")


def test_a_rule_whose_findings_vary_in_severity_says_so_on_its_page():
    from inspect import getsource  # noqa: PLC0415

    from truing.cli.rules import every_rule  # noqa: PLC0415
    from truing.report.rule_page import page  # noqa: PLC0415

    for each in every_rule().values():
        if each.check.__module__.startswith("truing.drift"):
            continue
        varies = "severity=" in getsource(each.check).partition("\ndef ")[2]
        assert bool(each.varies) is varies, each.name
        assert f"Severity: {each.severity}{'; ' if varies else '.'}" in page(each)
