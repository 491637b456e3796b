"""What must hold for any speech, any shard, any title."""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.config import GatesConfig, SegmentConfig
from ingest.records import Chapter, Level, Metadata, Sample, Segment, Word
from ingest.samples import uniform_frames
from ingest.shards import ShardReader, ShardWriter, pack_jpegs, read_tar, unpack_jpegs, write_staged
from ingest.speech.voice import SAMPLE_RATE_HZ, WINDOW_SECONDS, Stretch, mend_words, pack_windows
from ingest.text.clean import clean, longest_loop
from ingest.text.clips import make_clips
from ingest.text.lexicon import load_lexicon
from ingest.text.segment import sentences
from ingest.text.titles import from_text, structure, to_text

unhurried = settings(deadline=None)


@st.composite
def speech(draw: st.DrawFn) -> tuple[Word, ...]:
    """Words in order, with pauses of any length, full stops here and there."""
    clock, words = draw(st.floats(0.0, 3.0)), []
    for number in range(draw(st.integers(1, 40))):
        end = clock + draw(st.floats(0.02, 2.0))
        stop = draw(st.sampled_from(["", "", "", "."]))
        words.append(Word(start_seconds=clock, end_seconds=end, text=f"w{number}{stop}", probability=0.9))
        clock = end + draw(st.sampled_from([0.0, 0.05, 0.4, 1.4, 3.0]))
    return tuple(words)


@st.composite
def cutting(draw: st.DrawFn) -> SegmentConfig:
    shortest = draw(st.floats(0.0, 4.0))
    return SegmentConfig(
        min_clip_seconds=shortest,
        max_clip_seconds=shortest + draw(st.floats(0.5, 30.0)),
        max_pause_seconds=draw(st.floats(0.1, 3.0)),
        pad_seconds=draw(st.floats(0.0, 1.0)),
    )


@unhurried
@given(speech(), cutting(), st.integers(1, 5), st.lists(st.floats(0.0, 60.0), max_size=6))
def test_clips_and_refusals_hold_every_word_once_and_clips_never_overlap(
    words: tuple[Word, ...], config: SegmentConfig, parts: int, cuts: list[float]
) -> None:
    size = -(-len(words) // parts)
    groups = [words[first : first + size] for first in range(0, len(words), size)]
    heard = [
        Segment(start_seconds=group[0].start_seconds, end_seconds=group[-1].end_seconds, text="", words=group)
        for group in groups
    ]
    duration = words[-1].end_seconds + 0.5
    clips, refused = make_clips("v", sentences(heard, config), duration, config, sorted(cuts))
    texts = [(clip.start_seconds, clip.narration) for clip in clips] + [
        (one.start_seconds, one.text) for one in refused
    ]
    assert " ".join(text for _start, text in sorted(texts)).split() == [word.text for word in words]
    assert [clip.index for clip in clips] == list(range(len(clips)))
    for clip in clips:
        assert 0.0 <= clip.start_seconds < clip.end_seconds <= duration
        spoken = [word for word in words if word.text in clip.narration.split()]
        start, end = spoken[0].start_seconds, spoken[-1].end_seconds
        assert clip.start_seconds <= start
        assert clip.end_seconds >= end
        assert clip.end_seconds - clip.start_seconds >= config.min_clip_seconds - 1e-5
        assert clip.end_seconds - clip.start_seconds <= max(config.max_clip_seconds, end - start) + 1e-5
        assert end - start <= config.max_clip_seconds or len(spoken) == 1
        assert not [cut for cut in cuts if clip.start_seconds < cut < start or end < cut < clip.end_seconds]
    for before, after in pairwise(clips):
        assert before.end_seconds <= after.start_seconds


@st.composite
def stretches(draw: st.DrawFn) -> list[Stretch]:
    clock, found = 0, []
    for _ in range(draw(st.integers(1, 20))):
        clock += draw(st.integers(1, 5 * SAMPLE_RATE_HZ))
        end = clock + draw(st.integers(1_600, 29 * SAMPLE_RATE_HZ))
        found.append(Stretch(clock, end))
        clock = end
    return found


@unhurried
@given(stretches())
def test_windows_hold_all_speech_in_order_within_thirty_seconds(found: list[Stretch]) -> None:
    windows = pack_windows(found)
    assert [stretch for window in windows for stretch in window.stretches] == found
    assert all(window.seconds <= WINDOW_SECONDS for window in windows)


@unhurried
@given(stretches(), st.data())
def test_words_come_back_onto_the_clock_inside_speech_and_in_order(found: list[Stretch], data: st.DataObject) -> None:
    for window in pack_windows(found):
        moments = sorted(data.draw(st.lists(st.floats(0.0, window.seconds + 0.5), min_size=2, max_size=30)))
        said = [Word(start_seconds=a, end_seconds=b, text="w", probability=1.0) for a, b in pairwise(moments)]
        words = window.to_clock(said)
        assert len(words) == len(said)
        for word in words:
            assert word.start_seconds <= word.end_seconds
            assert any(
                s.start_seconds <= word.start_seconds and word.end_seconds <= s.end_seconds for s in window.stretches
            )
        for before, after in pairwise(words):
            assert before.end_seconds <= after.start_seconds + 1e-9


@unhurried
@given(st.lists(st.floats(0.0, 10.0), min_size=2, max_size=20), st.floats(0.5, 3.0))
def test_words_without_a_time_get_one_and_are_flagged(moments: list[float], room: float) -> None:
    moments = sorted(moments)
    words = [Word(start_seconds=a, end_seconds=b, text="w", probability=1.0) for a, b in pairwise(moments)]
    words.append(Word(start_seconds=moments[-1], end_seconds=moments[-1], text="w", probability=1.0))
    mended = mend_words(words, 0.0, 10.0 + room)
    assert len(mended) == len(words)
    assert mended[-1].interpolated
    assert all(word.end_seconds > word.start_seconds for word in mended if word.interpolated)


@unhurried
@given(st.lists(st.binary(max_size=200), max_size=20))
def test_packed_pictures_come_back(pictures: list[bytes]) -> None:
    assert unpack_jpegs(pack_jpegs(pictures)) == tuple(pictures)


@st.composite
def samples(draw: st.DrawFn) -> list[Sample]:
    keys = draw(st.lists(st.from_regex(r"\A[A-Za-z0-9_-]{1,80}\Z"), min_size=1, max_size=8, unique=True))
    return [
        Sample(
            key=key,
            level=draw(st.sampled_from(Level)),
            video_id=draw(st.from_regex(r"\A[A-Za-z0-9_-]{1,20}\Z")),
            narrated=draw(st.booleans()),
            start_seconds=draw(st.floats(0, 1e5)),
            end_seconds=draw(st.floats(0, 1e5)),
            text=draw(st.text(st.characters(exclude_categories=("Cs",)), max_size=60)),
            frame_seconds=tuple(draw(st.lists(st.floats(0, 1e5), max_size=3))),
            jpegs=tuple(draw(st.lists(st.binary(max_size=60), max_size=3))),
        )
        for key in keys
    ]


@settings(max_examples=30, deadline=None)
@given(samples(), st.integers(1, 4))
def test_shards_give_back_what_was_put_in(put: list[Sample], samples_per_shard: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with ShardWriter(Path(folder), samples_per_shard) as writer:
            for sample in put:
                writer.add(sample)
        reader = ShardReader(Path(folder))
        assert [reader.read(sample.key) for sample in put] == put
        assert {entry.key for level in Level for entry in reader.entries(level)} == {sample.key for sample in put}
        reader.close()
        write_staged(Path(folder) / "staged", put)
        assert list(read_tar(Path(folder) / "staged")) == put


@unhurried
@given(
    st.lists(st.floats(0.0, 100.0), min_size=1, max_size=300, unique=True), st.integers(1, 64), st.floats(0.1, 100.0)
)
def test_frames_are_distinct_in_order_and_no_more_than_asked(seconds: list[float], count: int, end: float) -> None:
    places = uniform_frames(sorted(seconds), 0.0, end, count)
    assert places == sorted(set(places))
    assert 1 <= len(places) <= count
    assert all(0 <= place < len(seconds) for place in places)


def test_uniform_frames_take_the_nearest() -> None:
    seconds = (np.arange(40) / 2).tolist()
    assert uniform_frames(seconds, 4.0, 8.0, 4) == [9, 11, 13, 15]


EYE_SURGERY = load_lexicon(["ophthalmology"])
_TEMPLATE_WORDS = st.sampled_from(
    [
        "a video of ",
        "a surgical video",
        "; by ",
        ": ",
        ", ",
        "for ",
        "with keratome",
        "giving ",
        "in order to reduce glare",
        "showing ",
        ".",
        "trabeculectomy",
        "no ",
        '"',
        "phaco chop",
        "cataract",
        "\n",
        "to treat glaucoma; ",
    ]
)
_HOSTILE = st.one_of(st.text(max_size=80), st.lists(_TEMPLATE_WORDS, max_size=12).map("".join))


@unhurried
@given(_HOSTILE, _HOSTILE, _HOSTILE)
def test_any_title_parses_back(title: str, description: str, chapter: str) -> None:
    chapters = [Chapter(start_seconds=0.0, end_seconds=1.0, title=chapter)]
    spoken = [Segment(start_seconds=0.0, end_seconds=1.0, text=description)]
    made, evidence = structure(Metadata(title=title, description=description), EYE_SURGERY, chapters, spoken)
    assert from_text(to_text(made)) == made
    assert "\n" not in to_text(made)
    assert {(one.attribute, one.value) for one in evidence} == set(made.values())


@unhurried
@given(
    st.lists(
        st.sampled_from(
            [
                "phaco",
                "chop",
                "iris",
                "hook",
                "hooks",
                "I",
                "O",
                "L",
                "IOL",
                "no",
                "trypan-blue",
                "Descemet's",
                "membrane",
                "endothelial",
                "keratoplasty",
                ",",
                "DMEK",
                "dmek",
                "anterior",
                "capsule",
                "polishing",
            ]
        ),
        max_size=14,
    ).map(" ".join)
)
def test_terms_are_found_as_a_slow_search_finds_them(text: str) -> None:
    found = EYE_SURGERY.find(text)
    assert all(one.end <= two.start for one, two in pairwise(found))
    alone = [
        (start, end)
        for start in range(len(text))
        for end in range(start + 1, len(text) + 1)
        if not text[start:end].isspace()
        and (whole := EYE_SURGERY.find(text[start:end]))
        and (whole[0].start, whole[0].end) == (0, end - start)
        and not (text[start - 1 : start].isalnum() or text[end : end + 1].isalnum())
    ]
    taken: list[tuple[int, int]] = []
    for start, end in sorted(alone, key=lambda span: (span[0] - span[1], span[0])):
        if all(end <= first or last <= start for first, last in taken):
            taken.append((start, end))
    assert sorted(taken) == [(one.start, one.end) for one in found]


@unhurried
@given(st.lists(st.sampled_from("abc"), max_size=30))
def test_the_longest_loop_is_what_a_search_finds(words: list[str]) -> None:
    longest = 1 if words else 0
    for first in range(len(words)):
        for size in range(1, 5):
            times = 1
            while words[first + times * size : first + (times + 1) * size] == words[first : first + size] != []:
                if first + (times + 1) * size > len(words):
                    break
                times += 1
            longest = max(longest, times if first + size <= len(words) else 0)
    assert longest_loop(words) == longest


@unhurried
@given(speech(), st.floats(-2.0, 0.0), st.floats(0.0, 1.0))
def test_no_sentence_is_lost_between_the_gates(words: tuple[Word, ...], likelihood: float, no_speech: float) -> None:
    gates = GatesConfig(min_mean_log_probability=likelihood, max_no_speech_probability=no_speech)
    whole = Segment(start_seconds=0.0, end_seconds=1.0, text="", words=words)
    found = sentences([whole], SegmentConfig())
    cleaned = clean(found, gates)
    assert len(cleaned.accepted) + len(cleaned.rejected) == len(found)
    assert all(one.reason for one in cleaned.rejected)
