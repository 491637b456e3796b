"""Which videos a world has: their names, programs, rates, titles, and what stands beside each file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum

from ophclip.simulate.config import SimulateConfig, Site
from ophclip.simulate.draw import pick, stream
from ophclip.simulate.language import Procedure, Program
from ophclip.simulate.look import LOOKS
from ophclip.simulate.planning import plan
from ophclip.simulate.titles import facts_of, write_title, write_vague_title
from ophclip.simulate.video import Clock, draw_clock

HEIGHTS = {Site.A: 240, Site.B: 216}
PROCEDURE_CYCLE = (
    Procedure.PHACO, Procedure.TRABECULECTOMY, Procedure.PHACO, Procedure.KERATOPLASTY, Procedure.PHACO,
)  # fmt: skip
LICENSES = (
    "Creative Commons Attribution license (reuse allowed)", "Creative Commons Attribution license (reuse allowed)",
    "CC0 1.0",
)  # fmt: skip
UPLOADERS = {Site.A: "Lakeside Eye Hospital", Site.B: "Northern Eye Institute"}
FIRST_CATARACT101, FIRST_OPHNET = 301, 1001
ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"


class Role(StrEnum):
    NARRATED = "narrated"
    SILENT = "silent"
    HELD_OUT = "held_out"


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One video to make."""

    name: str
    role: Role
    index: int
    path: str
    """The file's place in the world's folder."""
    program: Program
    clock: Clock
    title: str
    vague_title: bool
    width_px: int
    height_px: int


def frame_size(config: SimulateConfig) -> tuple[int, int]:
    """Width and height in pixels, both even."""
    site = Site(config.site)
    height = config.height_px or HEIGHTS[site]
    return round(height * LOOKS[site].width_per_height / 2) * 2, height


def casebook(config: SimulateConfig) -> tuple[Case, ...]:
    """Every case of a world, narrated first, then silent, then held out."""
    counts = ((Role.NARRATED, config.narrated), (Role.SILENT, config.silent), (Role.HELD_OUT, config.held_out))
    return tuple(_case(config, role, index) for role, count in counts for index in range(count))


def _case(config: SimulateConfig, role: Role, index: int) -> Case:
    site = Site(config.site)
    procedure = PROCEDURE_CYCLE[index % len(PROCEDURE_CYCLE)]
    program = plan(config.seed, site, role.value, index, procedure=procedure, pace=config.pace)
    rng = stream(config.seed, "file", site.value, role.value, index)
    clock = draw_clock(rng, program.duration_seconds, config.max_fps)
    vague = role is Role.SILENT and bool(rng.random() < config.vague_titles)
    title = write_vague_title(rng) if vague else write_title(facts_of(program), rng)
    name, path = _name(config, role, index)
    width, height = frame_size(config)
    return Case(
        name=name, role=role, index=index, path=path, program=program, clock=clock, title=title, vague_title=vague,
        width_px=width, height_px=height,
    )  # fmt: skip


def _name(config: SimulateConfig, role: Role, index: int) -> tuple[str, str]:
    """Names that do not tell what a video is; held-out ones as the owners of the real datasets name theirs."""
    if role is not Role.HELD_OUT:
        rng = stream(config.seed, "name", Site(config.site).value, role.value, index)
        name = "".join(pick(rng, ALPHABET) for _ in range(11))
        return name, f"videos/{name}.mp4"
    cycle = [PROCEDURE_CYCLE[k % len(PROCEDURE_CYCLE)] is Procedure.PHACO for k in range(index + 1)]
    if cycle[-1]:
        number = FIRST_CATARACT101 + sum(cycle) - 1
        return f"case_{number:03d}", f"held_out/cataract101/videos/case_{number:03d}.mp4"
    number = FIRST_OPHNET + len(cycle) - sum(cycle) - 1
    return f"case_{number:04d}", f"held_out/ophnet/videos/case_{number:04d}.mp4"


def info_json(config: SimulateConfig, case: Case) -> dict[str, object]:
    """What yt-dlp would have written beside the video."""
    rng = stream(config.seed, "info", Site(config.site).value, case.role.value, case.index)
    person = case.program.surgeon
    uploader = f"{UPLOADERS[Site(config.site)]}, surgeon {person.number}"
    date = f"{int(rng.integers(2015, 2025))}{int(rng.integers(1, 13)):02d}{int(rng.integers(1, 29)):02d}"
    return {
        "id": case.name,
        "title": case.title,
        "description": pick(rng, ("", "", "Simulated operation.", "Thank you for watching.", case.title)),
        "uploader": uploader,
        "license": pick(rng, LICENSES),
        "upload_date": date,
        "webpage_url": f"https://example.org/watch?v={case.name}",
        "duration": round(case.clock.duration_seconds, 3),
        "width": case.width_px,
        "height": case.height_px,
        "fps": round(case.clock.mean_fps, 3),
        "ext": "mp4",
    }


def case_json(case: Case) -> dict[str, object]:
    """The whole symbolic program of a case, for world.json."""
    clock = {
        "frames": len(case.clock.ticks), "nominal_fps": case.clock.nominal_fps, "variable": case.clock.variable,
        "duration_seconds": case.clock.duration_seconds,
    }  # fmt: skip
    return {
        "name": case.name, "role": case.role.value, "path": case.path, "title": case.title,
        "vague_title": case.vague_title, "clock": clock, "program": asdict(case.program),
    }  # fmt: skip
