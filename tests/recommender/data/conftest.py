"""A PostgreSQL server of the tests' own, where one is installed."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The address of a fresh server, listening in a folder of its own."""
    # Debian keeps the programs of each version off the PATH.
    path = os.pathsep.join([os.environ["PATH"], *map(str, Path("/usr/lib/postgresql").glob("*/bin"))])
    initdb, pg_ctl = shutil.which("initdb", path=path), shutil.which("pg_ctl", path=path)
    if initdb is None or pg_ctl is None:
        pytest.skip("PostgreSQL (initdb and pg_ctl) is not installed")
    # The path of a socket is short, and PostgreSQL does not run as root.
    user = "postgres" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if user:
            shutil.chown(folder, user)
        data, log = folder / "data", folder / "log"
        options = f"-k {folder} -c listen_addresses="
        initialise = [initdb, "-D", str(data), "-U", "marquee", "-A", "trust"]
        start = [pg_ctl, "-D", str(data), "-l", str(log), "-o", options, "-w", "start"]
        for command in (initialise, start):
            subprocess.run(command, check=True, capture_output=True, user=user, cwd=folder)
        try:
            yield f"postgresql+psycopg://marquee@/postgres?host={folder}"
        finally:
            stop = [pg_ctl, "-D", str(data), "-m", "immediate", "stop"]
            subprocess.run(stop, check=True, capture_output=True, user=user, cwd=folder)


@pytest.fixture
def postgresql(postgresql_server: str) -> Iterator[str]:
    """The address of that server, without any tables."""
    psycopg = pytest.importorskip("psycopg")
    yield postgresql_server
    with psycopg.connect(postgresql_server.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a store that is not there yet, in each kind of database."""
    if request.param == "postgresql":
        address: str = request.getfixturevalue("postgresql")
        return address
    return f"sqlite:///{tmp_path / 'kept' / 'ratings.db'}"
