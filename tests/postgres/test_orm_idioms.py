"""Correct idioms, each used in a session: what is right, the rules let pass."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from tests.orm_models import judged_models

TEXT = Path(__file__).with_name("orm_idioms.md").read_text()
IDIOMS = dict(re.findall(r"^## ([^\n]+)\n\n```python\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE))
KEY = """mapped_column(primary_key=True, default=uuid.uuid4, server_default=text("gen_random_uuid()"))"""


def test_every_section_is_an_idiom():
    assert len(IDIOMS) == TEXT.count("\n## ") == TEXT.count("```python") > 20


@pytest.mark.pg(">=15")
@pytest.mark.parametrize("idiom", IDIOMS)
def test_it_works_and_nothing_is_said(idiom, tmp_path, database):
    code = IDIOMS[idiom].replace("= KEY", f"= {KEY}")
    with judged_models(tmp_path, database, code, tenant_column="tenant_id") as (module, findings):
        engine = create_engine(database.url)
        try:
            with Session(engine) as session:
                module.use(session)
        finally:
            engine.dispose()
    assert findings == []
