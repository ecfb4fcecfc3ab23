"""A PostgreSQL to try things out on; it is gone when this ends."""

import signal
from pathlib import Path

from truing.server import Cluster

with Cluster(tcp=True) as cluster:
    Path("database.url").write_text(cluster.tcp_url())
    print("PostgreSQL", cluster.version, "runs; ctrl-C ends it.")
    try:
        signal.pause()
    except KeyboardInterrupt:
        print("Ended.")
