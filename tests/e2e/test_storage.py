"""Corpora on a bucket server that fails: what passes is repeated, what does not ends in one line; nothing is broken."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import fsspec
import pytest
from botocore.retryhandler import delay_exponential
from bucket_server import Application, BucketServer, Environ, Fault, cut_short, flipped, refused, reset, stalled
from small_corpus import write_corpus

from ingest.publish import publish
from ingest.records import Level
from ingest.shards import CachedShards, ShardReader

pytestmark = pytest.mark.slow

ADDRESS = "s3://clinic/eyes/corpus"
INDEX = "/clinic/eyes/corpus/shards/index.json"
LATE = stalled(5.0)
TAR = "GET /clinic/eyes/corpus/shards/clip-000000"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "old", samples_per_shard=3)


@pytest.fixture
def new(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "new", clips=(4, 5, 4), silent=1, samples_per_shard=3)


@pytest.fixture
def clinic(s3: BucketServer, monkeypatch: pytest.MonkeyPatch) -> BucketServer:
    """A bucket, and clients that do not wait long."""
    monkeypatch.setattr("s3fs.core.S3FileSystem.read_timeout", 3.0)
    monkeypatch.setattr("botocore.retryhandler.delay_exponential", lambda *_given, **_options: 0.01)
    fsspec.filesystem("s3").mkdir("clinic")
    s3.asked.clear()
    return s3


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards of a few kilobytes go in parts, as those of hundreds of megabytes do."""
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1)
    monkeypatch.setattr("s3fs.core.calculate_chunksize", lambda _size, chunksize=None: chunksize or 4096)


def reader(cache: Path) -> ShardReader:
    return ShardReader(CachedShards(ADDRESS, cache, 10**9))


def keys(of: ShardReader) -> list[str]:
    return [entry.key for level in Level for entry in of.entries(level)]


def same(one: ShardReader, other: ShardReader) -> bool:
    return [one.read(key) for key in keys(one)] == [other.read(key) for key in keys(other)]


def unfinished() -> list[Any]:
    found: list[Any] = fsspec.filesystem("s3").list_multipart_uploads("clinic")
    return found


@pytest.mark.usefixtures("in_parts")
def test_a_corpus_goes_in_parts_and_comes_back(clinic: BucketServer, old: Path, new: Path, tmp_path: Path) -> None:
    done = publish(old, ADDRESS)
    assert done.sent == done.shards == clinic.count("POST /clinic/eyes/corpus/shards/") / 2  # begun and completed
    assert clinic.count("partNumber=2") > 0
    under_way = reader(tmp_path / "a")
    assert same(under_way, ShardReader(old))
    clinic.asked.clear()
    assert publish(old, ADDRESS).sent == 0
    assert not [one for one in clinic.asked if not one.startswith(("GET", "HEAD"))], "nothing is written"
    publish(new, ADDRESS)
    assert same(reader(tmp_path / "b"), ShardReader(new))
    under_way.verify()
    assert same(ShardReader(CachedShards(ADDRESS, tmp_path / "c", 1)), ShardReader(new))


@pytest.mark.parametrize(
    "fault",
    [refused(503, "SlowDown"), refused(500, "InternalError"), reset, LATE, cut_short, flipped],
    ids=["slow down", "internal error", "reset", "time-out", "cut short", "flipped"],
)
def test_what_passes_is_asked_again(clinic: BucketServer, old: Path, tmp_path: Path, fault: Fault) -> None:
    publish(old, ADDRESS)
    clinic.asked.clear()
    clinic.harm(TAR, fault)
    assert same(reader(tmp_path / "cache"), ShardReader(old))
    assert clinic.count(TAR) == 2 or (fault is LATE and clinic.count(TAR) > 2), clinic.asked


@pytest.mark.parametrize("fault", [refused(503, "SlowDown"), reset, LATE], ids=["slow down", "reset", "time-out"])
@pytest.mark.usefixtures("in_parts")
def test_what_passes_is_sent_again(clinic: BucketServer, old: Path, tmp_path: Path, fault: Fault) -> None:
    clinic.harm("partNumber=1", fault)
    clinic.harm(f"PUT {INDEX}", fault)
    publish(old, ADDRESS)
    assert same(reader(tmp_path / "cache"), ShardReader(old))
    assert unfinished() == []


@pytest.mark.parametrize(
    ("fault", "asked", "told"),
    [
        (refused(503, "SlowDown", "Please reduce your request rate"), 10, "see that the storage answers"),
        (reset, 40, "see that the storage answers"),  # each twice, by aiohttp
        (flipped, 2, "delete it there and publish the corpus again"),
    ],
    ids=["slow down", "reset", "flipped"],
)
def test_a_storage_that_stays_away_is_asked_so_often_and_no_more(
    clinic: BucketServer,
    old: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    fault: Fault,
    asked: int,
    told: str,
) -> None:
    publish(old, ADDRESS)
    pauses: list[float] = []

    def noted(*given: Any, **options: Any) -> float:
        pauses.append(delay_exponential(*given, **options))
        return 0.01

    monkeypatch.setattr("botocore.retryhandler.delay_exponential", noted)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    of = reader(tmp_path / "cache")
    clinic.asked.clear()
    clinic.harm(TAR, fault, times=1000)
    with pytest.raises(ValueError, match=rf"^{ADDRESS}/shards/clip-000000.*cannot be read \(.*\): {told}") as raised:
        of.read(keys(of)[0])
    assert "\n" not in str(raised.value)
    assert clinic.count(TAR) == asked
    assert asked == 2 or max(pauses) > 1
    assert len(set(pauses)) == len(pauses), "no two clients come back at once"


@pytest.mark.parametrize(
    ("status", "code", "remedy"),
    [
        (403, "AccessDenied", "have its keeper allow it for these credentials"),
        (403, "InvalidAccessKeyId", "have its keeper allow it for these credentials"),
        (403, "SignatureDoesNotMatch", "have its keeper allow it for these credentials"),
        (400, "ExpiredToken", "renew the credentials or mend the address"),
    ],
)
def test_credentials_that_do_not_do_end_it_at_once(
    clinic: BucketServer, old: Path, new: Path, tmp_path: Path, *, status: int, code: str, remedy: str
) -> None:
    publish(old, ADDRESS)
    of = reader(tmp_path / "cache")
    clinic.asked.clear()
    clinic.harm("", refused(status, code), times=1000)
    for work in (lambda: of.read(keys(of)[0]), lambda: reader(tmp_path / "b"), lambda: publish(new, ADDRESS)):
        clinic.asked.clear()
        with pytest.raises(ValueError, match=rf"^{ADDRESS}.* cannot be \w+ \(.*\): {remedy}") as raised:
            work()
        assert "\n" not in str(raised.value)
        assert len(clinic.asked) <= 3, clinic.asked


@pytest.mark.parametrize(
    ("status", "code"), [(507, "XMinioStorageFull"), (400, "EntityTooLarge"), (403, "QuotaExceeded")]
)
@pytest.mark.usefixtures("in_parts")
def test_a_full_bucket_leaves_the_old_corpus(
    clinic: BucketServer, old: Path, new: Path, tmp_path: Path, *, status: int, code: str
) -> None:
    publish(old, ADDRESS)
    clinic.harm("partNumber=2", refused(status, code), times=1000)
    with pytest.raises(
        ValueError, match=rf"^{ADDRESS}/shards/.*tar: cannot be written \(.*\): make room there"
    ) as raised:
        publish(new, ADDRESS)
    assert "\n" not in str(raised.value)
    assert same(reader(tmp_path / "cache"), ShardReader(old))
    assert unfinished() == [], "parts that cost room are taken back"
    clinic.heal()
    publish(new, ADDRESS)
    assert same(reader(tmp_path / "cache"), ShardReader(new))


def test_a_bucket_that_is_not_there_is_told(clinic: BucketServer, old: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"^s3://nowhere/x/.*: check the address; a bucket must have been made before$"
    ):
        publish(old, "s3://nowhere/x")
    with pytest.raises(ValueError, match=r"^s3://nowhere/x: no shards/index\.json there, no corpus: check the address"):
        CachedShards("s3://nowhere/x", tmp_path, 1)


def test_secrets_are_never_said(
    clinic: BucketServer, old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(old, ADDRESS)
    signed = "s3://clinic/eyes/corpus?X-Amz-Credential=me&X-Amz-Signature=hush"
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    for address, endpoint in (
        ("s3://me:hush@clinic/eyes", clinic.address),
        (signed, clinic.address),
        (ADDRESS, "http://me:hush@127.0.0.1:9"),
    ):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        fsspec.get_filesystem_class("s3").clear_instance_cache()
        for work in (lambda at=address: publish(old, at), lambda at=address: CachedShards(at, tmp_path, 1)):
            with pytest.raises(ValueError, match=r"^s3://clinic/eyes") as raised:
                work()
            assert "hush" not in str(raised.value)
            assert "\n" not in str(raised.value)


@pytest.mark.usefixtures("in_parts")
def test_a_publisher_that_is_killed_is_followed_by_one_that_completes(
    clinic: BucketServer, old: Path, new: Path, tmp_path: Path
) -> None:
    publish(old, ADDRESS)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    small = "import s3fs.core, sys; s3fs.core.calculate_chunksize = lambda size, chunksize=None: chunksize or 4096; "
    command = [
        sys.executable,
        "-c",
        f"{small}import ophclip.cli; ophclip.cli.main()",
        "ingest",
        "publish",
        str(new),
        ADDRESS,
    ]
    for place in ("partNumber=2", f"PUT {INDEX}"):
        process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)

        def strike(application: Application, environ: Environ, start: Any) -> Iterable[bytes]:
            os.kill(process.pid, signal.SIGKILL)  # noqa: B023 within this turn
            return reset(application, environ, start)

        clinic.harm(place, strike)
        told = process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL, told
        assert same(reader(tmp_path / "cache"), ShardReader(old))
        assert bool(unfinished()) == (place == "partNumber=2")
    assert publish(new, ADDRESS).sent == 0, "all was there but the index"
    assert same(reader(tmp_path / "cache"), ShardReader(new))
    assert unfinished() == []
    reader(tmp_path / "cache").verify()
