"""Does the example answer each person with what is theirs, and nobody without a token that proves who they are?"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from uuid import uuid4

import jwt
import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from tests.pages import ROOT, read_page
from tests.rbac_isolation import SECRET as KEY
from truing.errors import UsageError
from truing.rbac import program
from truing.rbac.fastapi import Administering, InTenant, Rbac, jwt_verifier, require

SECRET = "a secret of more than thirty-two bytes, for tests"


EXAMPLE = ROOT / "examples" / "rbac_api"


def readme(language):
    """The only block of the example's page in this language."""
    (block,) = (each for each in read_page(EXAMPLE / "README.md").blocks if each.language == language)
    return block.text


def example():
    spec = importlib.util.spec_from_file_location("rbac_api", EXAMPLE / "app.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.app


@pytest.fixture
def logins(world, rbac_database, monkeypatch):
    """What the example's page has its reader set: two logins, neither of which is a superuser, and a secret."""
    program.install(world.connection, application="app_user", administrator="rbac_admin")
    world.connection.commit()
    for line, name in zip(readme("sql").splitlines(), ("DATABASE_URL", "ADMIN_DATABASE_URL"), strict=True):
        role = rbac_database.role(line.removesuffix(";").split(" ", 3)[3])
        assert world.run("SELECT FROM pg_roles WHERE rolname = :r AND NOT rolsuper AND NOT rolbypassrls", r=role)
        monkeypatch.setenv(name, rbac_database.url_as(role))
    monkeypatch.setenv("JWT_SECRET", SECRET)


@pytest.fixture
def client(logins):
    with TestClient(example(), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def acme(world):
    tenant = world.tenant("acme")
    flag = world.one("INSERT INTO feature_flags (name, default_enabled) VALUES ('reports', true) RETURNING id")
    world.permission("report.read", "manage_users")
    for name, permission in (("Home", None), ("Reports", "report.read"), ("Users", "manage_users")):
        world.run(
            "INSERT INTO sidebar_features (feature_id, is_global, sidebar_name, url_path, requires_permission)"
            " VALUES (:f, true, :n, :u, :p)",
            f=flag,
            n=name,
            u=f"/{name.lower()}",
            p=permission,
        )
    return tenant


def token(tenant, profile, key=SECRET, algorithm="HS256", **claims):
    given = {"tenant_id": str(tenant), "sub": str(profile), "aud": "rbac-api", "exp": time.time() + 60, **claims}
    return jwt.encode({name: value for name, value in given.items() if value is not None}, key, algorithm=algorithm)


def as_(tenant, profile, **claims):
    return {"Authorization": f"Bearer {token(tenant, profile, **claims)}"}


def names(response):
    assert response.status_code == 200, response.text
    return [item["name"] for item in response.json()]


def test_everybody_sees_their_own_sidebar(world, acme, client):
    reader, boss = world.role(acme, "reader", "report.*", "report.read"), world.role(acme, "boss", "*")
    ann, bob, cy = world.profile(acme, reader), world.profile(acme, boss), world.profile(acme)
    assert names(client.get("/sidebar", headers=as_(acme, ann))) == ["Home", "Reports"]
    assert names(client.get("/sidebar", headers=as_(acme, bob))) == ["Home", "Reports", "Users"]
    assert names(client.get("/sidebar", headers=as_(acme, cy))) == ["Home"]
    world.run("UPDATE feature_flags SET default_enabled = false")
    assert names(client.get("/sidebar", headers=as_(acme, bob))) == []
    assert client.get("/me", headers=as_(acme, ann)).json()["permissions"] == ["report.*", "report.read"]


def test_a_profile_of_one_tenant_is_nobody_in_another(world, acme, client):
    ann = world.profile(acme, world.role(acme, "boss", "*"))
    other = world.tenant("other")
    assert names(client.get("/sidebar", headers=as_(other, ann))) == []
    assert client.put(f"/users/{ann}/roles/boss", headers=as_(other, ann)).status_code == 403


def test_a_role_is_given_by_who_may_and_seen_at_once(world, acme, client):
    boss, clerk = world.role(acme, "boss", "manage_users"), world.role(acme, "clerk", "report.read")
    world.run("INSERT INTO role_grants VALUES (:t, :b, :c)", t=acme, b=boss, c=clerk)
    ann, bob = world.profile(acme, boss), world.profile(acme)
    assert client.put(f"/users/{bob}/roles/clerk", headers=as_(acme, bob)).status_code == 403
    assert client.put(f"/users/{bob}/roles/clerk", headers=as_(acme, ann)).status_code == 200
    assert names(client.get("/sidebar", headers=as_(acme, bob))) == ["Home", "Reports"]
    (row,) = world.run(
        "SELECT actor FROM rbac_audit WHERE table_name = 'user_roles' AND new_row ->> 'user_id' = :b", b=str(bob)
    )
    assert row.actor == str(ann)
    refused = client.put(f"/users/{bob}/roles/boss", headers=as_(acme, ann))
    assert (refused.status_code, "may not hand out" in refused.json()["detail"]) == (403, True)
    assert client.put(f"/users/{bob}/roles/nobody", headers=as_(acme, ann)).status_code == 404
    for stranger in (uuid4(), world.profile(world.tenant("other"))):
        missing = client.put(f"/users/{stranger}/roles/clerk", headers=as_(acme, ann))
        assert (missing.status_code, missing.json()) == (404, {"detail": "There is no such profile in this tenant."})
    assert world.one("SELECT count(*) FROM user_roles WHERE user_id = :b", b=bob) == 1
    world.run("DELETE FROM user_roles WHERE user_id = :a", a=ann)
    until = time.monotonic() + 5
    while client.put(f"/users/{bob}/roles/clerk", headers=as_(acme, ann)).status_code != 403:
        assert time.monotonic() < until


def test_without_a_login_that_grants_nobody_is_given_a_role(world, acme, logins, monkeypatch):
    boss, clerk = world.role(acme, "boss", "manage_users"), world.role(acme, "clerk", "report.read")
    world.run("INSERT INTO role_grants VALUES (:t, :b, :c)", t=acme, b=boss, c=clerk)
    ann, bob = world.profile(acme, boss), world.profile(acme)
    asks = os.environ["DATABASE_URL"]
    # None at all, and the one that only asks in the place of the one that grants.
    for granting in ("", asks):
        monkeypatch.setenv("ADMIN_DATABASE_URL", granting)
        with TestClient(example()) as client:
            assert names(client.get("/sidebar", headers=as_(acme, ann))) == ["Home", "Users"]
            assert client.put(f"/users/{bob}/roles/clerk", headers=as_(acme, bob)).status_code == 403
            refused = client.put(f"/users/{bob}/roles/clerk", headers=as_(acme, ann))
            said = "This application has no database login that may do this, whoever asks."
            assert (refused.status_code, refused.json()) == (501, {"detail": said})
    assert world.one("SELECT count(*) FROM user_roles WHERE user_id = :b", b=bob) == 0


def test_the_token_that_the_page_makes_is_good(world, acme, client):
    ann = world.profile(acme, world.role(acme, "reader", "report.read"))
    run = [sys.executable, "-c", readme("python"), str(acme), str(ann)]
    made = subprocess.run(run, check=True, capture_output=True, text=True).stdout.strip()
    answer = client.get("/me", headers={"Authorization": f"Bearer {made}"})
    assert answer.json() == {"profile": str(ann), "permissions": ["report.read"]}


@pytest.mark.parametrize("missing", [("DATABASE_URL",), ("JWT_SECRET",), ("DATABASE_URL", "JWT_SECRET")])
def test_the_example_says_what_is_not_set(monkeypatch, missing):
    for name in ("DATABASE_URL", "JWT_SECRET"):
        monkeypatch.setenv(name, "" if name in missing else "x")
    with pytest.raises(SystemExit) as stopped:
        example()
    assert [line.split(":")[0] for line in stopped.value.code.splitlines()] == [f"Set {name}" for name in missing]


@pytest.mark.parametrize("absent", ["jwt", "fastapi"])
def test_without_the_extra_it_says_what_to_install(absent):
    code = f"import sys; sys.modules[{absent!r}] = None; import truing.rbac.fastapi"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: truing.rbac.fastapi needs FastAPI and PyJWT."
        " Install them with: pip install 'truing[fastapi]'"
    )


FORGED = {
    "no token": lambda *_: {},
    "bare headers": lambda t, p: {"X-Tenant-Id": str(t), "X-Profile-Id": str(p), "X-User": str(p)},
    "another key": lambda t, p: as_(t, p, key="x" * 40),
    "no signature": lambda t, p: as_(t, p, key=None, algorithm="none"),
    "expired": lambda t, p: as_(t, p, exp=time.time() - 1),
    "never expires": lambda t, p: as_(t, p, exp=None),
    "for somebody else": lambda t, p: as_(t, p, aud="another-api"),
    "no tenant": lambda t, p: as_(t, p, tenant_id=None),
    "no uuid": lambda _, p: as_("acme", p),
    "nonsense": lambda *_: {"Authorization": "Bearer x.y.z"},
    "another scheme": lambda t, p: {"Authorization": f"Basic {token(t, p)}"},
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_token_that_proves_nothing_is_401(world, acme, client, forge):
    boss = world.profile(acme, world.role(acme, "boss", "*"))
    for response in (
        client.get("/sidebar", headers=forge(acme, boss), params={"tenant_id": str(acme)}),
        client.put(f"/users/{boss}/roles/boss", headers=forge(acme, boss)),
    ):
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"


def test_a_header_does_not_change_the_tenant_of_a_token(world, acme, client):
    ann = world.profile(acme)
    other = world.tenant("other")
    headers = {**as_(acme, ann), "X-Tenant-Id": str(other), "X-Tenant": str(other)}
    assert names(client.get("/sidebar", headers=headers)) == ["Home"]


@pytest.mark.parametrize("algorithms", [[], ["none"], ["HS256", "None"]])
def test_a_verifier_needs_a_signature(algorithms):
    with pytest.raises(UsageError, match="proves nothing"):
        jwt_verifier(SECRET, algorithms=algorithms)


def test_a_dependency_that_would_let_everybody_through_is_refused():
    with pytest.raises(UsageError, match="needs a permission"):
        require()


def test_an_application_without_rbac_is_an_error_and_no_yes():
    app = FastAPI()

    @app.get("/", dependencies=[Depends(require("x"))])
    def endpoint() -> str:
        return "secret"

    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.get("/", headers=as_(uuid4(), uuid4())).status_code == 500


def test_several_permissions_are_all_needed(world, acme):
    app = FastAPI()
    rbac = Rbac(app, world.engine, jwt_verifier(SECRET, algorithms=["HS256"], audience="rbac-api"))

    @app.get("/", dependencies=[Depends(require("report.read", "manage_users"))])
    def endpoint() -> str:
        return "secret"

    ann = world.profile(acme, world.role(acme, "r", "report.read"))
    bob = world.profile(acme, world.role(acme, "s", "report.read", "manage_users"))
    with TestClient(app) as client:
        denied = client.get("/", headers=as_(acme, ann))
        assert (denied.status_code, denied.json()["detail"]) == (403, "This needs the permission manage_users.")
        assert client.get("/", headers=as_(acme, bob)).status_code == 200
    rbac.close()


@pytest.mark.parametrize("kind", [InTenant, Administering])
def test_what_cannot_be_committed_is_not_answered_as_done(world, acme, kind):
    app = FastAPI()
    verify = jwt_verifier(SECRET, algorithms=["HS256"], audience="rbac-api")
    rbac = Rbac(app, world.engine, verify, administrator=world.engine)
    world.run("CREATE TABLE late (x integer UNIQUE DEFERRABLE INITIALLY DEFERRED)")

    def endpoint(times, connection):
        connection.execute(text("INSERT INTO late SELECT 1 FROM generate_series(1, :n)"), {"n": times})
        return "done"

    # Annotations are texts here, and these are known only within the test.
    endpoint.__annotations__ = {"times": int, "connection": kind, "return": str}
    app.post("/{times}")(endpoint)

    with TestClient(app, raise_server_exceptions=False) as client:
        headers = as_(acme, world.profile(acme))
        assert client.post("/2", headers=headers).status_code == 500
        assert client.post("/1", headers=headers).json() == "done"
    assert world.one("SELECT count(*) FROM late") == 1
    rbac.close()


def test_a_tenant_is_signed_where_the_database_believes_nothing_else(isolated):
    it = isolated("signed")
    engine = create_engine(it.database.url_as(it.logins["own"]), poolclass=NullPool)
    for secret, code in ((KEY, 200), (None, 500), (b"x" * 32, 500)):
        app = FastAPI()
        rbac = Rbac(app, engine, jwt_verifier(SECRET, algorithms=["HS256"], audience="rbac-api"), secret=secret)

        @app.get("/", dependencies=[Depends(require("doc.read"))])
        def mine(connection: InTenant) -> list[str]:
            return [str(each) for each in connection.execute(text("SELECT id FROM profiles")).scalars()]

        with TestClient(app, raise_server_exceptions=False) as client:
            answer = client.get("/", headers=as_(it.tenants["own"], it.profiles["own"]))
            assert answer.status_code == code
            assert code != 200 or answer.json() == [str(it.profiles["own"])]
            other = client.get("/", headers=as_(it.tenants["other"], it.profiles["own"]))
            assert other.status_code == (403 if code == 200 else 500)
        rbac.close()
