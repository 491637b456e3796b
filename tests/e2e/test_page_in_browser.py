"""The page of `ophclip serve` in a real browser, on a real service: what a surgeon does, and what may go wrong."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import page_service
import pytest
from page_service import COLOURS, SCRIPT, Service, Watch
from playwright.sync_api import Browser, Page, Route, expect

from ophclip.search.bridges.seconds import read_seconds

pytestmark = pytest.mark.slow
QUERY = "lens injector"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with page_service.browsing() as browser:
        yield browser


@pytest.fixture(scope="module")
def index(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return page_service.build_site(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def service(index: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with page_service.serving(index, tmp_path_factory.mktemp("log") / "service.log") as service:
        yield service


@pytest.fixture
def watch(service: Service) -> Watch:
    return Watch(service.address)


@pytest.fixture
def page(browser: Browser, service: Service, watch: Watch) -> Iterator[Page]:
    """The page, which stays calm, so that a video stands where it was opened. Nothing may fail or leave the origin."""
    context = browser.new_context(base_url=service.address, reduced_motion="reduce", accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(10_000)
    watch.follow(page)
    yield page
    context.close()
    assert watch.elsewhere() == []
    assert watch.errors == []


def _search(page: Page, text: str = QUERY, path: str = "/") -> list[dict[str, Any]]:
    """Type a query, press Enter, and return the service's hits, which the page shows in that order."""
    page.goto(path)
    page.locator("#filters").wait_for(state="attached")
    expect(page.locator("#about")).not_to_be_empty()
    page.fill("#query", text)
    with page.expect_response("**/v1/search") as answer:
        page.press("#query", "Enter")
    hits = answer.value.json()["hits"]
    expect(page.locator(".hit")).to_have_count(len(hits))
    assert page.locator(".hit").evaluate_all("all => all.map(hit => hit.dataset.hitId)") == [
        hit["hit_id"] for hit in hits
    ]
    return list(hits)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _second(page: Page) -> float:
    return float(page.evaluate("document.getElementById('video').currentTime"))


def _wait_at(page: Page, second: float) -> None:
    page.wait_for_function(
        "second => Math.abs(document.getElementById('video').currentTime - second) < 0.15", arg=second
    )


def _open(page: Page, hits: list[dict[str, Any]], video_id: str) -> dict[str, Any]:
    """Open the first hit of a video."""
    number, hit = next((number, hit) for number, hit in enumerate(hits) if hit["video_id"] == video_id)
    page.locator(".hit .open").nth(number).click()
    expect(page.locator("#player")).to_be_visible()
    return hit


def test_a_query_is_typed_suggested_and_answered_in_order(page: Page) -> None:
    page.goto("/")
    expect(page.locator("#welcome")).to_be_visible()
    page.press("body", "/")
    page.keyboard.type("lens")
    options = page.locator("#suggestions [role=option]")
    expect(options.first).to_be_visible()
    assert all("lens" in text for text in options.all_text_contents())
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    expect(options.first).to_have_attribute("aria-selected", "true")
    assert page.locator("#query").get_attribute("aria-activedescendant") == options.first.get_attribute("id")
    chosen = options.first.text_content() or ""
    page.keyboard.press("Enter")
    expect(page.locator(".hit").first).to_be_visible()
    expect(page.locator("#query")).to_have_value(chosen)
    expect(options).to_have_count(0)
    assert page.evaluate("new URLSearchParams(location.search).get('q')") == chosen
    expect(page.locator("#status")).to_contain_text("hits in 3 videos")
    scores = [float(text.removeprefix("score ")) for text in page.locator(".hit .score").all_text_contents()]
    assert scores == sorted(scores, reverse=True)
    page.wait_for_function(
        "() => [...document.querySelectorAll('.hit img')].slice(0, 3).every(image => image.naturalWidth > 0)"
    )


def test_back_and_forward_walk_through_what_was_asked(page: Page) -> None:
    _search(page, "keratome")
    page.fill("#query", QUERY)
    page.press("#query", "Enter")
    expect(page).to_have_title(f"{QUERY} - ophclip")
    page.locator(".hit .open").first.click()
    expect(page.locator("#player")).to_be_visible()
    page.go_back()
    expect(page.locator("#player")).to_be_hidden()
    page.go_back()
    expect(page.locator("#query")).to_have_value("keratome")
    expect(page).to_have_title("keratome - ophclip")
    page.go_forward()
    expect(page.locator("#query")).to_have_value(QUERY)
    page.reload()
    expect(page.locator(".hit").first).to_be_visible()
    page.go_back()
    page.go_back()
    expect(page.locator("#welcome")).to_be_visible()
    expect(page.locator(".hit")).to_have_count(0)


def test_what_the_index_holds_is_text_and_never_markup(page: Page) -> None:
    hits = _search(page)
    hit = _open(page, hits, "narrated")
    assert hit["title"] == SCRIPT
    expect(page.locator("#player-title")).to_have_text(SCRIPT)
    expect(page.locator("#player-narration")).to_have_text("<b>The lens</b> unfolds.")
    page.keyboard.press("Escape")
    expect(page.get_by_text(SCRIPT).first).to_be_visible()
    expect(page.locator(".hit .narration").filter(has_text="<b>The lens</b>").first).to_be_visible()
    _search(page, f"{SCRIPT} keratome")
    page.locator("#videos-filter summary").click()
    expect(page.locator("#videos-choices label").filter(has_text=SCRIPT)).to_be_visible()
    assert page.evaluate("window.stolen") is None
    assert page.locator("main img[src=x], dialog img, b").count() == 0


def test_the_page_may_run_and_load_nothing_but_its_own_files(page: Page, watch: Watch) -> None:
    answer = page.goto("/")
    assert answer is not None
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert not re.search("unsafe|http|data:|blob:", policy)
    refused = """() => {
      try { document.body.insertAdjacentHTML("beforeend", "<p>forced</p>"); } catch { return true; }
      return false;
    }"""
    assert page.evaluate(refused)
    watch.errors = [error for error in watch.errors if "TrustedHTML" not in error]


def test_a_hit_opens_at_the_second_of_its_picture_and_seeks_by_ribbon_curve_and_keys(page: Page) -> None:
    hits = _search(page)
    hit = _open(page, hits, "silent")
    _wait_at(page, hit["peak_seconds"])
    assert page.evaluate("document.getElementById('video').paused")
    expect(page.locator("#player-facts")).to_contain_text(f"score {hit['score']:.3f}")
    expect(page.locator("#ribbon button").first).to_be_visible()
    expect(page.locator("#legend li").first).to_be_visible()
    assert page.locator("#marks .mark").count() == sum(one["video_id"] == "silent" for one in hits)
    expect(page.locator("#marks .opened")).to_have_count(1)
    assert len(page.locator("#curve .stroke").get_attribute("d") or "") > 20
    for place in ("#curve", "#ribbon"):
        box = page.locator(place).bounding_box()
        assert box is not None
        for share in (0.28, 0.72):
            page.mouse.click(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
            _wait_at(page, share * 16)
            expect(page.locator("#curve")).to_have_attribute("aria-valuetext", re.compile(f"^{_clock(share * 16)} · "))
    page.locator("#video").focus()
    page.keyboard.press("j")
    _wait_at(page, 6.52)
    page.keyboard.press("l")
    _wait_at(page, 11.52)
    page.locator("#curve").focus()
    page.keyboard.press("ArrowLeft")
    _wait_at(page, 10.52)
    page.keyboard.press("Home")
    _wait_at(page, 0)
    page.keyboard.press(" ")
    page.wait_for_function(
        "() => !document.getElementById('video').paused && document.getElementById('video').currentTime > 0.3"
    )
    page.keyboard.press(" ")
    page.wait_for_function("() => document.getElementById('video').paused")
    playhead = page.locator("#playhead").evaluate("head => parseFloat(head.style.left)")
    assert playhead == pytest.approx(100 * _second(page) / 16, abs=3)


def test_the_keys_alone_lead_from_the_query_to_playing(page: Page) -> None:
    hits = _search(page)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    focused = "document.activeElement.closest('.hit')?.dataset.hitId"
    assert page.evaluate(focused) == hits[1]["hit_id"]
    page.keyboard.press("Enter")
    expect(page.locator("#player")).to_be_visible()
    assert "hit=" in page.url
    page.keyboard.press("ArrowRight")
    expect(page.locator("#player-facts")).to_contain_text("hit 3 of")
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
    expect(page.locator("#player")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#player")).to_be_hidden()
    page.wait_for_function(f"() => {focused} === {json.dumps(hits[2]['hit_id'])}")
    assert "hit=" not in page.url
    page.keyboard.press("/")
    expect(page.locator("#query")).to_be_focused()


def test_a_video_that_the_browser_cannot_play_says_so(page: Page) -> None:
    _open(page, _search(page), "old")
    expect(page.locator("#unplayable")).to_contain_text("cannot play this video's format")
    expect(page.locator("#curve .stroke")).to_have_attribute("d", re.compile("^M"))
    page.keyboard.press("Escape")
    expect(page.locator("#player")).to_be_hidden()


def test_without_reduced_motion_a_hit_plays_at_once(browser: Browser, service: Service) -> None:
    context = browser.new_context(base_url=service.address)
    page = context.new_page()
    hit = _open(page, _search(page), "silent")
    page.wait_for_function(
        "second => document.getElementById('video').currentTime > second + 0.2", arg=min(hit["peak_seconds"], 15)
    )
    assert page.evaluate("document.getElementById('video').muted")
    context.close()


def test_filters_narrow_what_is_found_and_stand_in_the_address(page: Page) -> None:
    _search(page)
    page.select_option("#narrated", "true")
    expect(page.locator("#status")).to_contain_text("in 1 video")
    assert page.locator(".hit .title").all_text_contents() == [SCRIPT] * page.locator(".hit").count()
    page.click("#filters-off")
    expect(page.locator("#status")).to_contain_text("in 3 videos")
    page.locator("#facets summary", has_text="Licence").click()
    page.locator("#facets label", has_text="CC0").click()
    expect(page.locator("#status")).to_contain_text("in 2 videos")
    page.keyboard.press("Escape")
    page.locator("#videos-filter summary").click()
    page.locator("#videos-choices label", has_text="An old recording").click()
    expect(page.locator("#status")).to_contain_text("in 1 video")
    page.check("#grouped")
    expect(page.locator(".hit")).to_have_count(1)
    page.reload()
    expect(page.locator(".hit .title")).to_have_text(["An old recording"])
    expect(page.locator("#grouped")).to_be_checked()
    page.fill("#min-score", "1")
    page.press("#min-score", "Enter")
    expect(page.locator("#notice")).to_contain_text("Clear some of them")
    expect(page.locator(".hit")).to_have_count(0)
    page.click("#filters-off")
    expect(page.locator("#status")).to_contain_text("in 3 videos")
    assert page.evaluate("location.search") == "?q=lens+injector"


def _png(video_id: str, second: float) -> bytes:
    pixels = page_service.picture(COLOURS[video_id][int(second // 4)])
    return cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes()


def _give(page: Page, event: str, content: bytes, mime: str, name: str) -> None:
    """Drop or paste a file, as the browser would tell it."""
    page.evaluate(
        """([event, content, mime, name]) => {
          const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
          const files = new DataTransfer();
          files.items.add(new File([bytes], name, { type: mime }));
          const given = event === "drop"
            ? new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true })
            : new ClipboardEvent("paste", { clipboardData: files, bubbles: true, cancelable: true });
          document.body.dispatchEvent(given);
        }""",
        [event, base64.b64encode(content).decode(), mime, name],
    )


@pytest.mark.parametrize("way", ["drop", "paste", "pick"])
def test_a_picture_finds_the_moment_it_was_taken_from(page: Page, way: str) -> None:
    page.goto("/")
    expect(page.locator("#filters")).to_be_visible()
    if way == "pick":
        file = {"name": "yellow.png", "mimeType": "image/png", "buffer": _png("silent", 1)}
        page.set_input_files("#example", files=[file])
    else:
        _give(page, way, _png("silent", 1), "image/png", "yellow.png")
    expect(page.locator("#example-name")).to_have_text("yellow.png")
    expect(page.locator(".hit .title").first).to_have_text("A silent operation")
    assert page.locator(".hit .time").first.text_content() is not None
    assert (page.locator(".hit .time").first.text_content() or "").startswith("0:00")
    expect(page.locator("#example-picture")).to_be_visible()
    expect(page.locator("#query")).to_have_value("")
    page.reload()
    expect(page.locator(".hit .title").first).to_have_text("A silent operation")
    page.click("#example-off")
    expect(page.locator("#welcome")).to_be_visible()


def test_a_clip_and_a_frame_of_the_player_are_questions_too(page: Page, tmp_path: Path) -> None:
    page.goto("/")
    expect(page.locator("#filters")).to_be_visible()
    clip = page_service.write_video(tmp_path / "clip.mp4", [COLOURS["narrated"][1]])
    page.set_input_files("#example", clip)
    expect(page.locator("#example-name")).to_have_text("clip.mp4")
    expect(page.locator(".hit .title").first).to_have_text(SCRIPT)
    page.locator(".hit .open").first.click()
    expect(page.locator("#frame-like")).to_be_enabled()
    page.wait_for_function("() => document.getElementById('video').readyState >= 2")
    with page.expect_response("**/v1/embed/image"):
        page.click("#frame-like")
    expect(page.locator("#player")).to_be_hidden()
    expect(page.locator("#example-name")).to_contain_text("frame of narrated at")
    expect(page.locator(".hit .title").first).to_have_text(SCRIPT)


def test_more_like_this_leaves_out_the_hit_itself(page: Page) -> None:
    hits = _search(page)
    with page.expect_response("**/v1/search") as answer:
        page.locator(".hit .like").first.click()
    sent = json.loads(answer.value.request.post_data or "")
    assert sent["hit_id"] == hits[0]["hit_id"]
    expect(page.locator("#example-name")).to_have_text(
        f"like {hits[0]['video_id']} at {_clock(hits[0]['peak_seconds'])}"
    )
    expect(page.locator(".hit").first).to_be_visible()
    shown = page.locator(".hit").evaluate_all("all => all.map(hit => hit.dataset.hitId)")
    assert shown
    assert hits[0]["hit_id"] not in shown
    page.locator(".hit .open").first.click()
    expect(page.locator("#curve .stroke")).to_have_attribute("d", re.compile("^M"))
    page.keyboard.press("Escape")
    expect(page.locator("#player")).to_be_hidden()
    page.go_back()
    expect(page.locator("#query")).to_have_value(QUERY)


def test_a_heat_map_shows_where_by_rest_and_by_key(page: Page) -> None:
    _search(page)
    first, second = page.locator(".hit").nth(0), page.locator(".hit").nth(1)
    first.locator(".open").hover()
    expect(first.locator(".heat")).to_be_visible()
    assert first.locator(".heat").evaluate("heat => heat.width") > 100
    page.mouse.move(0, 0)
    expect(first.locator(".heat")).to_be_hidden()
    page.locator("#results").focus()
    page.keyboard.press("h")
    expect(second.locator(".heat")).to_be_visible()
    expect(page.locator("#heat-maps")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("h")
    expect(second.locator(".heat")).to_be_hidden()


def test_verdicts_are_kept_and_exported_for_annotation(page: Page) -> None:
    label = '=HYPERLINK("x"), lens'
    hits = _search(page, label)
    page.locator(".hit .up").nth(0).click()
    page.locator(".hit .down").nth(1).click()
    page.locator(".hit .up").nth(2).click()
    page.locator(".hit .up").nth(2).click()
    page.reload()
    expect(page.locator(".hit .up").nth(0)).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".hit .down").nth(1)).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".hit .up").nth(2)).to_have_attribute("aria-pressed", "false")
    named = _search(page, "iol injector")
    expect(page.locator("#status")).to_contain_text("understood as lens injector")
    expect(page.locator(".hit [aria-pressed=true]")).to_have_count(0)
    page.locator(".hit .down").nth(0).click()
    with page.expect_download() as download:
        page.click("#export")
    assert download.value.suggested_filename == "ophclip-verdicts.csv"
    written = Path(download.value.path()).read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(written)))
    assert list(rows[0]) == ["query", "instrument", "video_id", "start_seconds", "end_seconds", "score", "verdict"]
    expected = [
        (f"'{label}", hits[0], "up"),
        (f"'{label}", hits[1], "down"),
        ("iol injector", named[0], "down"),
    ]
    for row, (query, hit, verdict) in zip(rows, expected, strict=True):
        assert (row["query"], row["video_id"], row["verdict"]) == (query, hit["video_id"], verdict)
        for column in ("start_seconds", "end_seconds", "score"):
            assert float(row[column]) == hit[column]
    assert rows[2]["instrument"] == "lens injector"
    kept = read_seconds(Path(download.value.path()), {})
    assert [(one.label, one.present) for one in kept] == [(label, True), (label, False), ("lens injector", False)]


def test_a_busy_service_is_waited_for_and_then_told(page: Page, watch: Watch) -> None:
    _search(page)
    asked: list[int] = []

    def busy(route: Route) -> None:
        asked.append(1)
        if len(asked) in (2, 7):
            route.continue_()
            return
        words = json.dumps({"error": "too much waits already; come again in a second"})
        route.fulfill(status=429, headers={"Retry-After": "0.2"}, content_type="application/json", body=words)

    page.route("**/v1/search", busy)
    page.fill("#query", "keratome")
    with page.expect_response(lambda answer: answer.url.endswith("/v1/search") and answer.ok):
        page.click("#search .primary")
    assert len(asked) == 2
    page.fill("#query", "trephine")
    page.click("#search .primary")
    expect(page.locator("#notice")).to_contain_text("The service is busy")
    expect(page.locator("#notice")).to_contain_text("come again in a second")
    assert len(asked) == 6
    page.click("#again")
    expect(page.locator(".hit").first).to_be_visible()
    expect(page.locator("#notice")).to_be_hidden()
    watch.errors = [error for error in watch.errors if "429" not in error]


def test_what_is_no_picture_is_refused_and_the_hits_stay(page: Page, watch: Watch) -> None:
    hits = _search(page)
    _give(page, "drop", b"a text", "text/plain", "notes.txt")
    expect(page.locator("#notice")).to_contain_text("a picture or a clip was expected")
    expect(page.locator(".hit")).to_have_count(len(hits))
    _give(page, "drop", b"no picture", "image/png", "broken.png")
    expect(page.locator("#notice-title")).to_have_text(re.compile("Not a picture|could not be understood"))
    expect(page.locator(".hit")).to_have_count(len(hits))
    page.fill("#query", "keratome")
    page.press("#query", "Enter")
    expect(page.locator("#notice")).to_be_hidden()
    watch.errors = [error for error in watch.errors if not re.search("415|422", error)]


def test_without_an_answer_the_page_says_so_until_there_is_one(page: Page, watch: Watch) -> None:
    _search(page)
    page.route("**/v1/search", lambda route: route.abort("connectionrefused"))
    page.fill("#query", "keratome")
    page.press("#query", "Enter")
    expect(page.locator("#notice")).to_contain_text("The service does not answer")
    expect(page.locator(".hit")).to_have_count(0)
    page.unroute("**/v1/search")
    page.click("#again")
    expect(page.locator(".hit").first).to_be_visible()
    expect(page.locator("#notice")).to_be_hidden()
    watch.errors = [error for error in watch.errors if "ERR_CONNECTION_REFUSED" not in error]


def test_a_token_is_asked_for_once_and_a_service_that_stops_is_told(
    browser: Browser, index: Path, tmp_path: Path
) -> None:
    from ophclip.serving.tokens import Scope, create_token

    secret = create_token(tmp_path / "tokens.json", "theatre", Scope.READ)
    options = ("--tokens", str(tmp_path / "tokens.json"))
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    with page_service.serving(index, tmp_path / "log", *options) as service:
        page.goto(f"{service.address}/?q=keratome")
        page.fill("#token-text", "oph_wrong")
        page.press("#token-text", "Enter")
        expect(page.locator("#token-flaw")).to_have_text("This token is not accepted.")
        page.fill("#token-text", secret)
        page.press("#token-text", "Enter")
        expect(page.locator("#token")).to_be_hidden()
        expect(page.locator(".hit").first).to_be_visible()
        # Pictures and videos cannot send the token: the session's cookie speaks for them.
        page.wait_for_function("() => document.querySelector('.hit img').naturalWidth > 0")
        page.locator(".hit", has_text="A silent operation").locator(".open").first.click()
        page.wait_for_function("() => document.getElementById('video').readyState >= 2")
        page.keyboard.press("Escape")
        page.wait_for_function("() => !location.search.includes('hit=')")  # closing goes one step back in the history
        page.reload()
        expect(page.locator(".hit").first).to_be_visible()
    page.fill("#query", QUERY)
    page.press("#query", "Enter")
    expect(page.locator("#notice")).to_contain_text("The service does not answer")
    context.close()


CONTRAST = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const luminance = (rgb) => {
    const [r, g, b] = rgb.slice(0, 3).map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = parse(getComputedStyle(one).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
      if (colour[3] > 0) return null;
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.checkVisibility({ opacityProperty: true }) || element.matches(":disabled, option")) continue;
    const under = ground(element);
    if (!under) continue;
    const [one, other] = [luminance(parse(getComputedStyle(element).color)), luminance(under)].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (other + 0.05);
    if (ratio < 4.5) faint.push([element.textContent.trim().slice(0, 30), ratio.toFixed(2)]);
  }
  return faint;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground_and_the_switch_turns_it(page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    hits = _search(page)
    ground = "getComputedStyle(document.body).backgroundColor"
    as_the_system = page.evaluate(ground)
    page.locator(".hit .up").first.click()
    assert page.evaluate(CONTRAST) == []
    _open(page, hits, "silent")
    expect(page.locator("#legend li").first).to_be_visible()
    assert page.evaluate(CONTRAST) == []
    page.keyboard.press("Escape")
    other = "dark" if scheme == "light" else "light"
    while page.locator("#theme").text_content() != f"Theme: {other}":
        page.click("#theme")
    assert page.evaluate(ground) != as_the_system
    page.reload()
    expect(page.locator("#theme")).to_have_text(f"Theme: {other}")
    assert page.evaluate(ground) != as_the_system


def test_a_phone_shows_all_of_it_without_scrolling_sideways(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto("/")
    expect(page.locator("#ideas button").first).to_be_visible()
    across = "Math.max(document.documentElement.scrollWidth, document.getElementById('player').scrollWidth)"
    assert page.evaluate(across) <= 360
    hits = _search(page)
    assert page.evaluate(across) <= 360
    page.click("#filters-button")
    page.locator("#facets summary").first.click()
    expect(page.locator("#facets label").first).to_be_in_viewport()
    assert page.evaluate(across) <= 360
    page.keyboard.press("Escape")
    _open(page, hits, "narrated")
    expect(page.locator("#legend li").first).to_be_visible()
    assert page.evaluate(across) <= 360
    expect(page.locator("#player-close")).to_be_in_viewport()


def test_every_control_has_a_name_that_can_be_spoken(page: Page) -> None:
    _search(page)
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, a, [role], video, summary")].filter((one) => {
          const labels = [...(one.labels ?? [])].map((label) => label.textContent).join("");
          const by = document.getElementById(one.getAttribute("aria-labelledby") ?? "")?.textContent ?? "";
          const name = (one.getAttribute("aria-label") ?? "") + labels + by + one.textContent;
          return one.checkVisibility() && !name.trim() && !one.matches("[role=status]");
        }).map((one) => one.outerHTML)"""
    )
    assert nameless == []
