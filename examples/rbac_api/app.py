"""An API with a sidebar, and with an endpoint that not everybody may use.

    pip install 'truing[fastapi]' uvicorn
    DATABASE_URL=postgresql+psycopg://... ADMIN_DATABASE_URL=postgresql+psycopg://... JWT_SECRET=... uvicorn app:app

DATABASE_URL is of a login in app_user, which reads and asks; ADMIN_DATABASE_URL of one in rbac_admin, which hands out
roles, and without which nobody is given one. A token is signed with JWT_SECRET (HS256), is for the audience rbac-api,
and says the profile's id in `sub`, the tenant's in `tenant_id`, and in `exp` when it expires. README.md makes it all.
"""

import os
import sys
from contextlib import asynccontextmanager
from uuid import UUID

from fastapi import Depends, FastAPI
from sqlalchemy import create_engine

from truing.rbac.access import grant, permissions_of, sidebar
from truing.rbac.fastapi import Administering, InTenant, Rbac, Who, jwt_verifier, require

NEEDED = {
    "DATABASE_URL": "postgresql+psycopg://..., of a login in app_user",
    "JWT_SECRET": "what tokens are signed with, 32 bytes or more",
}
if missing := [f"Set {name}: {what}." for name, what in NEEDED.items() if not os.environ.get(name)]:
    sys.exit("\n".join(missing))


@asynccontextmanager
async def lifespan(app):
    engine = create_engine(os.environ["DATABASE_URL"])
    granting = os.environ.get("ADMIN_DATABASE_URL")
    administrator = create_engine(granting) if granting else None
    verify = jwt_verifier(os.environ["JWT_SECRET"], algorithms=["HS256"], audience="rbac-api")
    rbac = Rbac(app, engine, verify, administrator=administrator)
    yield
    rbac.close()
    engine.dispose()
    if administrator is not None:
        administrator.dispose()


app = FastAPI(lifespan=lifespan)


@app.get("/sidebar")
def my_sidebar(who: Who, connection: InTenant):
    return [
        {"name": item.name, "path": item.url_path, "icon": item.icon, "group": item.group}
        for item in sidebar(connection, who.tenant, who.profile)
    ]


@app.get("/me")
def me(who: Who, connection: InTenant):
    return {"profile": who.profile, "permissions": sorted(permissions_of(connection, who.tenant, who.profile))}


@app.put("/users/{profile}/roles/{role}", dependencies=[Depends(require("manage_users"))])
def give_role(profile: UUID, role: str, who: Who, connection: Administering):
    return {"version": grant(connection, who.tenant, profile, role, by=who.profile)}
