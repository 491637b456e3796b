"""Fixtures for every test: the random state is put back, and real media are found or their absence is said."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import settings
from postgres_server import PASSWORD, Server, server_programs, serving

if TYPE_CHECKING:
    from bucket_server import BucketServer

REPOSITORY = Path(__file__).parents[1]
# How long an example takes says more of the machine than of the code.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(autouse=True)
def _random_state_restored() -> Iterator[None]:
    python_state, numpy_state = random.getstate(), np.random.get_state()
    yield
    random.setstate(python_state)
    np.random.set_state(numpy_state)


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real media and annotation tables, which the project may not ship."""
    folder = Path(os.environ.get("OPHCLIP_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real media at {folder}; name their folder in OPHCLIP_TEST_DATA to run this test")
    return folder


@pytest.fixture(scope="session")
def bucket_server() -> Iterator[BucketServer]:
    """A bucket server on the loopback address."""
    from bucket_server import serving_buckets  # brings all of moto

    with serving_buckets() as server:
        yield server


@pytest.fixture
def s3(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[BucketServer]:
    """A bucket server without buckets, which `s3://` means while the test runs."""
    import fsspec

    server: BucketServer = request.getfixturevalue("bucket_server")
    server.forget()
    for name, value in {
        "AWS_ENDPOINT_URL": server.address,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    # A client that another test left would speak with other credentials.
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    yield server
    fsspec.get_filesystem_class("s3").clear_instance_cache()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A PostgreSQL server, where one is installed."""
    programs = server_programs()
    if programs is None:
        pytest.skip("no PostgreSQL on this machine: install Debian's `postgresql` to run this test")
    with serving(programs) as server:
        yield server


@pytest.fixture
def postgres(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an empty PostgreSQL database, whose password stands in the environment."""
    server: Server = request.getfixturevalue("postgres_server")
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    return server.new_database()


@pytest.fixture(params=["sqlite", "postgres"])
def manifest_place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where a manifest can lie: in a file, and in a database server."""
    return tmp_path / "m.sqlite" if request.param == "sqlite" else str(request.getfixturevalue("postgres"))
