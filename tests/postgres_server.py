"""A PostgreSQL server of the tests' own: in a folder that goes with it, on a socket there, with a password."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

PASSWORD = "SECRET-of-the-server"


def server_programs() -> Path | None:
    """The folder of `initdb` and `pg_ctl`, or None where PostgreSQL is not installed."""
    found = [*Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    on_path = shutil.which("initdb")
    places = sorted(found) or ([Path(on_path).resolve()] if on_path else [])
    return places[-1].parent if places else None


def _as_somebody() -> tuple[list[str], str | None]:
    """How a command is begun so that root does not run it, which PostgreSQL refuses, and whose files it then needs."""
    if os.geteuid() != 0:
        return [], None
    names = {one.pw_name for one in pwd.getpwall()}
    name = "postgres" if "postgres" in names else "nobody"
    group = str(pwd.getpwnam(name).pw_gid)
    return ["setpriv", f"--reuid={name}", f"--regid={group}", "--clear-groups", "env", "HOME=/"], name


class Server:
    """A server that runs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count()

    def address(self, database: str) -> str:
        """Of one of its databases, without the password."""
        return f"postgresql+pg8000://keeper@/{database}?unix_sock={self._folder}/.s.PGSQL.5432"

    def new_database(self) -> str:
        """The address of an empty database."""
        from sqlalchemy import create_engine, make_url

        name = f"d{next(self._numbers)}"
        url = make_url(self.address("postgres")).set(password=PASSWORD)
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        engine.dispose()
        return self.address(name)


@contextmanager
def serving(programs: Path) -> Iterator[Server]:
    """A server for as long as the block runs."""
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))  # a socket's path must be short
    begin, owner = _as_somebody()
    try:
        (folder / "password").write_text(PASSWORD)
        if owner:
            for path in (folder, folder / "password"):
                shutil.chown(path, owner)
        folder.chmod(0o711)
        data = str(folder / "data")
        made = ["--username=keeper", "--auth=scram-sha-256", f"--pwfile={folder}/password", "--no-sync"]
        _run([*begin, str(programs / "initdb"), "-D", data, "--encoding=UTF8", "--locale=C", *made])
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
        control = [*begin, str(programs / "pg_ctl"), "-D", data, "-w"]
        _run([*control, "-o", options, "-l", str(folder / "log"), "start"])
        try:
            yield Server(folder)
        finally:
            _run([*control, "-m", "immediate", "stop"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
