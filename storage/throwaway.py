"""A PostgreSQL server of its own in a temporary folder, for tests and for `attune bench storage`.

It listens on a socket in that folder alone and is gone afterwards. It needs PostgreSQL's programs, not a running
server.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.errors import Unavailable

HOW_TO_GET_IT = "PostgreSQL is not installed here. On Debian or Ubuntu: apt-get install postgresql"
_SETTINGS = "-c listen_addresses= -c max_connections=200"
_FORGETFUL = " -c fsync=off -c synchronous_commit=off -c full_page_writes=off"


def programs() -> Path | None:
    """The folder of PostgreSQL's newest programs."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if not found and (program := shutil.which("initdb")):
        found = [Path(program).resolve().parent]
    return max(
        found, key=lambda path: [int(part) for part in path.parent.name.split(".") if part.isdigit()], default=None
    )


@contextmanager
def throwaway_postgres(*, forgetful: bool = False) -> Iterator[str]:
    """Give a server's URL up to its database's name. `forgetful`: faster, and a power cut may lose everything."""
    folder = programs()
    if folder is None:
        raise Unavailable(HOW_TO_GET_IT)
    user = _owner()
    # Its socket's path must stay short, so it lies in the system's own temporary folder.
    home = Path(tempfile.mkdtemp(prefix="attune-pg-"))
    data, log = home / "data", home / "log"

    def run(program: str, *arguments: str) -> None:
        command = [str(folder / program), *arguments]
        done = subprocess.run(command, user=user, cwd=home, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            raise Unavailable(f"{program} failed: {done.stderr.strip() or done.stdout.strip()}")

    try:
        if user is not None:
            os.chown(home, user, -1)
        run("initdb", "--pgdata", str(data), "--username=attune", "--auth=trust", "--encoding=UTF8", "--no-sync")
        settings = f"{_SETTINGS} -c unix_socket_directories={home}{_FORGETFUL if forgetful else ''}"
        run("pg_ctl", "start", "--wait", "--pgdata", str(data), "--log", str(log), "--options", settings)
        try:
            yield f"postgresql://attune@/{{name}}?host={home}"
        finally:
            run("pg_ctl", "stop", "--mode=immediate", "--pgdata", str(data))
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _owner() -> int | None:
    """PostgreSQL refuses to run as root: then it runs as its own user, or as nobody."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            continue
    return None
