"""An API with a sidebar, and with an endpoint that not everybody may use.

DATABASE_URL=postgresql://... JWT_SECRET=... uvicorn app:app
"""

import os
from contextlib import asynccontextmanager
from uuid import UUID

from fastapi import Depends, FastAPI
from sqlalchemy import create_engine

from truing.rbac.access import grant, permissions_of, sidebar
from truing.rbac.fastapi import InTenant, Rbac, Who, jwt_verifier, require


@asynccontextmanager
async def lifespan(app):
    engine = create_engine(os.environ["DATABASE_URL"])
    rbac = Rbac(app, engine, jwt_verifier(os.environ["JWT_SECRET"], algorithms=["HS256"], audience="rbac-api"))
    yield
    rbac.close()
    engine.dispose()


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
def give_role(profile: UUID, role: str, who: Who, connection: InTenant):
    return {"version": grant(connection, who.tenant, profile, role, by=who.profile)}
