"""A corpus that grows while videos are purged from it, its index and the service over it; reconciled at the end."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import httpx
from soak_journal import Journal, Memory
from soak_load import Gone
from test_ingest_memory import memory_mb

from ingest.ledger import INTENT_NAME, read_ledger
from ingest.manifest import MANIFEST_NAME, Manifest, State
from ingest.records import Level
from ingest.shards import ShardReader
from ophclip.search.index import open_index

INGEST = (
    "--engine",
    "local",
    "workers=1",
    "overlays.enabled=false",
    "shards.short_side_px=96",
    "shards.video_frames=32",
)
BEHIND = ("nice", "-n", "10", sys.executable)
"""What can wait, as one lets it run beside a service and a training on two cores."""
IN_USE = (
    *("another ingest is writing it", "another run is writing it"),
    *("a purge has not ended", "in use by another process", "cannot be emptied"),
)
"""How a command says that another one holds what it needs."""
ALLOWED = {"film": ("done", "purged"), "copy": ("done", "rejected", "purged"), "damaged": ("rejected", "failed")}
"""How a file may end, by what it is."""
_LOOK_SECONDS, _AGAIN_SECONDS, _MOST_TRIES = 1.0, 3.0, 60


class Corpus:
    """`OUT/videos` into `OUT/corpus` into `OUT/index`, all by the commands."""

    def __init__(self, out: Path, journal: Journal, memory: Memory) -> None:
        self.out, self._journal, self._memory = out, journal, memory
        self.videos, self.corpus, self.index = out / "videos", out / "corpus", out / "index"
        self.gone = Gone()
        self.url = ""
        self.given: dict[str, str] = {}
        """Name of each file that was put into the folder -> what it is: `film`, `copy`, `damaged`."""

    def run(self, who: str, *words: str) -> str:
        """Run `ophclip WORDS` until nobody else is in its way; what it printed. Any other end is a failure."""
        for _ in range(_MOST_TRIES):
            with (self.out / f"{who}.txt").open("a+") as said:
                place = said.seek(0, os.SEEK_END)
                process = subprocess.Popen([*BEHIND, "-m", "ophclip.cli", *words], stdout=said, stderr=said)
                peak_mb = 0.0
                while process.poll() is None:
                    peak_mb = max(peak_mb, memory_mb(process.pid))
                    time.sleep(_LOOK_SECONDS)
                status = process.returncode
                said.seek(place)
                text = said.read()
            if status == 0:
                self._memory.note(who, peak_mb)
                return text
            told = [line for line in text.splitlines() if line.startswith("ophclip: ")]
            if status != 2 or len(told) != 1 or not any(words in told[0] for words in IN_USE):
                self._journal.require(False, who, f"ended with status {status}: {text[-500:]}")
                return ""
            self._journal.count(f"{who} found another at work and came again")
            self._journal.say(who, f"comes again: {told[0]}")
            time.sleep(_AGAIN_SECONDS)
        self._journal.require(False, who, f"in use for {_MOST_TRIES} tries")
        return ""

    def put(self, films: list[Path], kind: str = "film") -> None:
        """Let videos arrive, each with what is known of it."""
        self.videos.mkdir(exist_ok=True)
        for path in films:
            name = f"copy_of_{path.name}" if kind == "copy" else path.name
            about = path.with_suffix(".info.json")
            if about.is_file():
                shutil.copy(about, (self.videos / name).with_suffix(".info.json"))
            shutil.copy(path, self.videos / f"{name}.draft")
            (self.videos / f"{name}.draft").rename(self.videos / name)
            self.given[name] = kind

    def put_damaged(self, film: Path, number: int) -> None:
        """Let the first half of a video arrive, whose table of contents is lost with the other."""
        name = f"damaged_{number}.mp4"
        content = film.read_bytes()
        (self.videos / name).write_bytes(content[: len(content) // 2])
        self.given[name] = "damaged"

    def ingest(self) -> None:
        """Bring the corpus up to date."""
        began = self._journal.seconds
        said = self.run("ingest", "ingest", str(self.videos), "--out", str(self.corpus), *INGEST)
        self._journal.count("ingest runs")
        told = [line for line in said.splitlines() if "videos in the corpus" in line]
        self._journal.say("ingest", f"{self._journal.seconds - began:.0f} s: {told[0] if told else 'nothing said'}")

    def add_to_index(self) -> None:
        """Add what is new to the index."""
        said = self.run(
            "index", "index", str(self.out / "first" / "bundle"), str(self.corpus), "--out", str(self.index)
        )
        self._journal.count("index runs")
        self._journal.say("index", said.splitlines()[-1] if said else "nothing said")

    def reload(self) -> None:
        """Tell the service that the index is another."""
        answer = httpx.post(f"{self.url}/v1/reload", timeout=60, trust_env=False)
        self._journal.require(answer.status_code == 200, "service", f"reload: {answer.status_code} {answer.text[:200]}")
        self._journal.count("reloads")

    def grow(self, films: list[Path], number: int) -> None:
        """Videos arrive, now and then with a copy or a damaged one, and all of it is brought up to date."""
        self.put(films)
        if number % 5 == 2:
            self.put(films[:1], "copy")
        if number % 7 == 3:
            self.put_damaged(films[0], number)
        self.ingest()
        self.add_to_index()
        self.reload()

    def purge(self, number: int) -> None:
        """Take a video out, by turns the newest of the corpus and any that the service knows."""
        known = httpx.get(f"{self.url}/v1/videos", timeout=60, trust_env=False).json()["videos"]
        ids = sorted(one["video_id"] for one in known)
        victim = self._newest() if number % 2 else ids[number * 7 % len(ids)]
        self.gone.leaving.add(victim)
        self._journal.say("purge", f"begins with {victim}")
        began = self._journal.seconds
        words = ("--video", victim, "--corpus", str(self.corpus), "--index", str(self.index))
        said = self.run("purge", "purge", *words, "--signed-off-by", "the soak", "--reason", "consent was withdrawn")
        if not said:
            return
        self.reload()
        self.gone.since[victim] = self._journal.seconds
        self._journal.count("videos purged")
        self._journal.say("purge", f"{victim} is gone after {self._journal.seconds - began:.0f} s")
        answer = httpx.get(f"{self.url}/v1/videos/{victim}/clip", timeout=60, trust_env=False)
        self._journal.require(answer.status_code == 404, "purge", f"the service plays {victim}: {answer.status_code}")

    def _newest(self) -> str:
        place = f"file:{self.corpus / MANIFEST_NAME}?mode=ro"
        with sqlite3.connect(place, uri=True, timeout=30) as reader:
            query = "SELECT video_id FROM videos WHERE state='done' ORDER BY finished_at DESC, video_id LIMIT 1"
            (found,) = reader.execute(query).fetchone()
        reader.close()
        return str(found)

    def reconcile(self) -> dict[str, int]:
        """What was given is in, refused or purged; corpus and index hold the same; nothing of what was purged is left.

        Returns:
            How many videos came to which end.
        """
        require = self._journal.require
        with Manifest(self.corpus / MANIFEST_NAME, read_only=True) as manifest:
            rows = manifest.videos()
        by_name = {row.source_relative: row for row in rows}
        purged = {content for line in read_ledger(self.corpus) for content in line["content_sha256"]}
        end_of: dict[str, str] = {}
        for name, kind in sorted(self.given.items()):
            content = hashlib.sha256((self.videos / name).read_bytes()).hexdigest()
            end = "purged" if content in purged else by_name[name].state.value if name in by_name else "lost"
            end_of[name] = end
            require(end != "purged" or name not in by_name, "corpus", f"{name} was purged and is in the manifest")
            reason = by_name[name].reason if name in by_name else ""
            allowed = ALLOWED["copy" if f"copy_of_{name}" in self.given else kind]
            require(end in allowed, "corpus", f"{kind} {name}: {end} {reason}")
        for name in self.given.keys() & {f"copy_of_{name}" for name in self.given}:
            pair = (end_of[name.removeprefix("copy_of_")], end_of[name])
            # They come together, and then the first by name is kept.
            require(sorted(pair) in (["done", "rejected"], ["purged", "purged"]), "corpus", f"{name}: {pair}")
        ends = Counter(end_of.values())
        require(not by_name.keys() - self.given.keys(), "corpus", "the manifest holds what was not given")
        require(sum(ends.values()) == len(self.given), "corpus", f"{len(self.given)} given, {dict(ends)}")
        done = {row.video_id for row in rows if row.state is State.DONE}
        contents = [row.sha256 for row in rows if row.state is State.DONE]
        require(len(contents) == len(set(contents)), "corpus", "a content is there twice")
        reader = ShardReader(self.corpus)
        try:
            reader.verify()
        except ValueError as error:
            require(False, "corpus", str(error))
        for level in (Level.VIDEO, Level.CLIP):
            held = {entry.video_id for entry in reader.entries(level)}
            require(
                held <= done and (level is Level.CLIP or held == done), "corpus", f"{level.value} samples of others"
            )
        reader.close()
        with open_index(self.index) as index:
            found = {video.video_id for video in index.videos()}
        require(found == done, "index", f"not the corpus' videos: {sorted(found ^ done)}")
        self._require_nothing_left()
        return dict(ends)

    def _require_nothing_left(self) -> None:
        """Every file of corpus and index, searched for the ids of what was purged."""
        for folder in (self.corpus, self.index):
            self._journal.require(not (folder / INTENT_NAME).exists(), "purge", f"{folder}: has not ended")
            for path in (one for one in folder.rglob("*") if one.is_file()):
                content = path.read_bytes()
                for victim in self.gone.since:
                    held = victim.encode() in content or victim in path.name
                    self._journal.require(not held, "purge", f"{victim} is still in {path}")

    def require_as_undisturbed(self) -> int:
        """Ingest what is left in one go, by itself, and compare the samples; returns how many videos there are."""
        with Manifest(self.corpus / MANIFEST_NAME, read_only=True) as manifest:
            names = [row.source_relative for row in manifest.videos()]
        once = self.out / "once"
        (once / "videos").mkdir(parents=True)
        for name in names:
            for path in (self.videos / name, (self.videos / name).with_suffix(".info.json")):
                if path.is_file():
                    shutil.copy(path, once / "videos" / path.name)
        self._journal.say("corpus", f"ingests the {len(names)} that are left in one go")
        self.run("once", "ingest", str(once / "videos"), "--out", str(once / "corpus"), *INGEST)
        one, two = (_samples(folder) for folder in (self.corpus, once / "corpus"))
        other = sorted(key for key in one.keys() | two.keys() if one.get(key) != two.get(key))
        self._journal.require(not other, "corpus", f"{len(other)} samples are not those of one run: {other[:5]}")
        return len(names)


def _samples(corpus: Path) -> dict[str, str]:
    """Key -> checksum of every sample with its pictures; not of tars, which a purge gives new names."""
    reader = ShardReader(corpus)
    keys = [entry.key for level in Level for entry in reader.entries(level)]
    found = {key: hashlib.sha256(repr(reader.read(key)).encode()).hexdigest() for key in keys}
    reader.close()
    return found
