"""The RBAC models tell the truth about their database: nothing is found that is not meant."""

from __future__ import annotations

import pytest

from truing.catalog.read import read_snapshot
from truing.catalog.usage import read_usage
from truing.config import Config
from truing.orm.context import Context
from truing.orm.engine import check
from truing.rbac import script
from truing.rbac.models import Base
from truing.revisions.models import collected_warnings, mappers_of


def findings(database, **config):
    settings = Config(**config)
    with collected_warnings() as warnings:
        mappers = mappers_of([Base.metadata])
    with database.connect() as connection:
        usage = read_usage(connection, settings.application_role)
        context = Context(settings, read_snapshot(connection), usage, [Base.metadata], mappers)
    return check(context, warnings)


@pytest.fixture
def head(legacy, engine):
    with engine.connect() as connection:
        script.upgrade(connection, script.HEAD)


def test_the_models_are_clean_at_head(head, database):
    assert findings(database) == ()


def test_what_the_tenants_column_shows(head, database):
    # No key leaves the tenant out, and every table of a tenant has its policies.
    assert findings(database, tenant_column="tenant_id") == ()
