"""Run Prefect's own env.py outside of its server, whose worker threads it counts on."""

import asyncio
import runpy
from pathlib import Path

import prefect.server.database
from prefect.utilities import asyncutils

asyncutils.run_async_from_worker_thread = lambda function: asyncio.run(function())
runpy.run_path(str(Path(prefect.server.database.__file__).parent / "_migrations" / "env.py"))
