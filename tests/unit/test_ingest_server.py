"""A manifest in PostgreSQL: what can be wrong is said in one line, and never with a password."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from postgres_server import PASSWORD

from ingest.database import plain_address
from ingest.manifest import MANIFEST_NAME, Manifest, VideoRow
from ingest.place import choose_place
from ingest.status import open_corpus

ROW = VideoRow(video_id="v", path="/x/v.mp4", source_relative="v.mp4", sha256="", stamp="1:2")


def test_order_is_that_of_code_points_in_both(manifest_place: Path | str) -> None:
    names = ["a", "B", "_", "ä", "Z-1", "Z1"]
    with Manifest(manifest_place) as manifest:
        manifest.put(VideoRow(video_id=one, path="", source_relative=one, sha256="", stamp="") for one in names)
        assert [row.video_id for row in manifest.videos()] == sorted(names)


def test_one_that_may_only_be_read_is_left_alone(postgres: str) -> None:
    with pytest.raises(Exception, match="schema_version"):
        Manifest(postgres, read_only=True)
    with Manifest(postgres) as manifest:
        manifest.put([ROW])
    with Manifest(postgres, read_only=True) as manifest:
        assert manifest.videos() == [ROW]
        with pytest.raises(ValueError, match=r"cannot execute .* in a read-only transaction"):
            manifest.put([ROW])


def test_faults_of_the_server_are_told_in_one_line_without_the_password(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = postgres.replace("keeper@", f"keeper:not-{PASSWORD}@")
    nowhere = f"postgresql+pg8000://keeper:{PASSWORD}@127.0.0.1:1/corpus"
    missing = postgres.replace("@/", "@/no_such_")
    # The server says why and hangs up; where the driver meets the closed connection first, it knows no reason.
    refused, unknown = "(password authentication failed|network error)", "(does not exist|network error)"
    for address, told in ((stranger, refused), (missing, unknown), (nowhere, "")):
        with pytest.raises(ValueError, match=f"manifest's server cannot be used .*{told}") as caught:
            Manifest(address)
        assert PASSWORD not in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="PGPASSWORD") as caught:
        Manifest(f"mysql://u:{PASSWORD}@h/d")
    assert PASSWORD not in str(caught.value)
    with pytest.raises(ValueError, match="something else given") as caught:
        Manifest(f"postgresql://u:{PASSWORD}@h:port/d")
    assert PASSWORD not in str(caught.value)


def test_a_manifest_made_before_there_were_leases_opens(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    with Manifest(path) as manifest:
        manifest.put([ROW])
    with sqlite3.connect(path) as connection:
        columns = ", ".join(row[1] for row in connection.execute("PRAGMA table_info(videos)"))
        connection.executescript(
            f"CREATE TABLE old ({columns}, PRIMARY KEY (video_id), UNIQUE (source_relative));"
            "INSERT INTO old SELECT * FROM videos; DROP TABLE videos; ALTER TABLE old RENAME TO videos;"
            "DROP TABLE leases; DROP TABLE compared;"
        )
    connection.close()
    with Manifest(path, read_only=True) as manifest:
        assert manifest.videos() == [ROW]
    with Manifest(path) as manifest:
        assert manifest.claim([0], "a", 60.0, "") is not None
        assert manifest.videos() == [ROW]


def test_a_corpus_remembers_where_its_manifest_lies_and_forgets_the_password(
    postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGPASSWORD")
    given = postgres.replace("keeper@", f"keeper:{PASSWORD}@")
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    for folder in (first, second, third):
        folder.mkdir()
    with Manifest(choose_place(first, given)) as manifest:
        manifest.put([ROW])
    assert [path.name for path in first.iterdir()] == ["manifest.address"]
    assert (first / "manifest.address").read_text() == plain_address(postgres) + "\n"
    with open_corpus(first, read_only=True) as manifest:
        assert manifest.videos() == [ROW]
    with pytest.raises(ValueError, match="holds another corpus"):
        choose_place(second, given)
    with Manifest(second / MANIFEST_NAME):
        pass
    with pytest.raises(ValueError, match=r"has its own at .*: leave the option out") as caught:
        choose_place(second, given)
    assert PASSWORD not in str(caught.value)
    monkeypatch.setenv("OPHCLIP_MANIFEST", given)
    assert choose_place(second, "") == second / MANIFEST_NAME, "the variable is for new corpora"
    with pytest.raises(ValueError, match="holds another corpus"):
        choose_place(third, "")


def test_a_worker_needs_no_database() -> None:
    code = "import sys, ingest.stage, ingest.reading; sys.exit('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
