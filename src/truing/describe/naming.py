"""What is an object called on a page, and does its name lead somewhere? A choice in, Markdown for a name out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from functools import cached_property

from truing.describe.choose import Chosen, bare_type, relations
from truing.describe.texts import code, slug
from truing.names import QualifiedName, idents


class Names:
    """The names on one page: without their schema where all that is shown is in one."""

    def __init__(self, chosen: Chosen, sections: Collection[str] = ("tables", "views", "types")) -> None:
        """Take what is on the page, and which sections of it: nothing leads to one that is not there."""
        self._chosen, self._sections = chosen, sections

    @cached_property
    def _one_schema(self) -> str | None:
        schemas = {name.schema for name in relations(self._chosen.shown)}
        return schemas.pop() if len(schemas) == 1 else None

    @cached_property
    def _places(self) -> frozenset[QualifiedName]:
        shown = self._chosen.shown
        names = {
            "tables": [each.name for each in shown.tables],
            "views": [each.name for each in shown.views],
            "types": [each.name for each in shown.types],
        }
        return frozenset(name for section, found in names.items() if section in self._sections for name in found)

    @cached_property
    def usual_owner(self) -> str:
        """Who owns most of what is shown; said nowhere, since it is another one on every server."""
        shown = self._chosen.shown
        owners = Counter(
            [
                *(each.owner for each in shown.tables),
                *(each.owner for each in shown.views),
                *(each.owner for each in shown.functions),
            ]
        )
        owners.pop("", None)
        return min(owners, key=lambda owner: (-owners[owner], owner), default="")

    def plain(self, name: QualifiedName) -> str:
        """Call an object, as SQL would."""
        return idents([name.name]) if name.schema == self._one_schema else name.sql

    def link(self, name: QualifiedName | None) -> str:
        """Call an object, with a link to its section if it has one."""
        if name is None:
            return ""
        return f"[{code(self.plain(name))}](#{slug(name.sql)})" if name in self._places else code(self.plain(name))

    def heading(self, name: QualifiedName, level: int = 3) -> str:
        """Write the heading of an object, with its anchor."""
        return f'<a id="{slug(name.sql)}"></a>\n\n{"#" * level} {code(self.plain(name))}'

    def type(self, printed: str) -> str:
        """Write a type, with a link to its section if it has one."""
        bare = bare_type(printed)
        for each in self._chosen.shown.types:
            if each.name.sql == bare:
                shown = code(self.plain(each.name) + printed[len(bare) :])
                return f"[{shown}](#{slug(each.name.sql)})" if each.name in self._places else shown
        return code(printed)

    def owner(self, owner: str) -> str:
        """Say whose an object is, where it is not the usual owner's."""
        return f"Owned by {code(owner)}." if owner and owner != self.usual_owner else ""


def in_brackets(columns: tuple[str, ...]) -> str:
    """Write the columns of a key as SQL does."""
    return code(f"({idents(columns)})")
