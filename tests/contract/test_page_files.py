"""The page's files as they are shipped: they fit together, name no address, and put no text in as markup."""

from __future__ import annotations

import re
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def folder(repository: Path) -> Path:
    return repository / "ophclip" / "serving" / "page"


@pytest.fixture(scope="module")
def modules(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.js")}


def test_what_a_file_names_is_there(folder: Path, modules: dict[str, str]) -> None:
    markup = (folder / "index.html").read_text(encoding="utf-8")
    files = {path.name for path in folder.iterdir()}
    named = set(re.findall(r'(?:href|src)="page/([^"]+)"', markup))
    for text in modules.values():
        named |= set(re.findall(r'from "\./([^"]+)"', text))
    assert named | {"index.html"} == files
    ids = re.findall(r'\sid="([^"]+)"', markup)
    assert len(ids) == len(set(ids))
    asked = {one for text in modules.values() for one in re.findall(r'byId\("([^"]+)"', text)}
    assert asked - set(ids) == set()


def test_nothing_comes_from_elsewhere_or_goes_in_as_markup(folder: Path, modules: dict[str, str]) -> None:
    texts = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    outside = {name for name, text in texts.items() if re.search(r"https?://|//[a-z]+\.", text)}
    assert outside == {"icon.svg"}
    assert re.findall(r"https?://[^\"]+", texts["icon.svg"]) == ["http://www.w3.org/2000/svg"]
    unsafe = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|createContextualFragment"
    assert {name for name, text in modules.items() if re.search(unsafe, text)} == set()
    assert not re.search(r"\son\w+=|\sstyle=|<style|<script(?![^>]*\ssrc=)", texts["index.html"])


def test_files_are_small_enough_to_read(folder: Path) -> None:
    lines = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in folder.iterdir()}
    assert {name: count for name, count in lines.items() if count > 300} == {}
