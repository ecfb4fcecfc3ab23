"""How are classes called in sentences?"""

from __future__ import annotations

import pytest

from truing.orm.subjects import with_article


@pytest.mark.parametrize(
    "said", ["an Order", "a User", "a Unit", "an Invoice", "an Upload", "a Tenant", "an item", "a Éclair", "a _Row"]
)
def test_the_article_is_that_of_the_sound(said):
    assert with_article(said.split()[1]) == said
