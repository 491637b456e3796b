"""What requests and answers look like: every field bounded, nothing unknown taken."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from ophclip.search.filters import Filters

MOST_TEXTS = 64
MOST_HITS = 200
_LEAST_LENGTH = 1e-6
Text = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=400)]
Value = Annotated[str, StringConstraints(max_length=400)]
Coordinate = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Vector = Annotated[list[Coordinate], Field(min_length=1, max_length=8192)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Refusal(_Message):
    """Why a request was not answered."""

    error: str = Field(description="One line: what, what was expected, the remedy.")


class Texts(_Message):
    """Texts to embed."""

    texts: Annotated[list[Text], Field(min_length=1, max_length=MOST_TEXTS)]


class Vectors(_Message):
    """Unit vectors, and the weights whose space they are of."""

    dim: int
    weights_sha256: str
    vectors: list[list[float]]


class Query(_Message):
    """What is looked for: exactly one of words, a vector of the model's space, or a hit that was found before."""

    text: Text | None = None
    vector: Vector | None = None
    hit_id: Id | None = None

    @model_validator(mode="after")
    def _one(self) -> Query:
        given = [name for name in ("text", "vector", "hit_id") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of text, vector, hit_id; {len(given)} given")
        if self.text is not None and not self.text.strip():
            raise ValueError("text: give some words, such as lens injector")
        if self.vector is not None and np.linalg.norm(self.vector) < _LEAST_LENGTH:
            raise ValueError("vector: all zeros point nowhere; give a vector that /v1/embed made")
        return self

    @property
    def vector_d(self) -> NDArray[np.float64] | None:
        """The vector [D], if one is given."""
        return None if self.vector is None else np.asarray(self.vector, dtype=np.float64)


class FilterBy(_Message):
    """Which videos are searched: those that meet every condition; an empty one is met by all."""

    video_ids: Annotated[list[Id], Field(max_length=1000)] = []
    narrated: bool | None = None
    attributes: Annotated[
        dict[Id, Annotated[list[Value], Field(max_length=100)]],
        Field(max_length=32, description="Any of the values, all of the keys."),
    ] = {}

    def filters(self) -> Filters:
        """As the library takes them."""
        return Filters(
            video_ids=tuple(self.video_ids),
            narrated=self.narrated,
            attributes={key: tuple(values) for key, values in self.attributes.items() if values},
        )


class Search(Query):
    """A search."""

    k: Annotated[int, Field(ge=1, le=MOST_HITS, description="How many hits; fewer come back if there are no more.")] = (
        12
    )
    min_score: Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)] | None = None
    group_by_video: bool = False
    level: Literal["window", "clip", "video"] = "window"
    filters: FilterBy = FilterBy()


class FoundHit(_Message):
    """A stretch of video that answers a query."""

    hit_id: str
    video_id: str
    title: str
    license: str
    narration: str
    start_seconds: float
    end_seconds: float
    peak_seconds: float = Field(description="The middle of the best window, where playing should begin.")
    score: float = Field(description="Cosine of the query with the best window.")
    probability: float | None = Field(description="That the instrument is seen, where the index was calibrated for it.")
    level: str


class Hits(_Message):
    """The answer to a search, best first."""

    instrument: str | None = Field(description="The instrument that the text names, by any of its names.")
    hits: list[FoundHit]


class Video(_Message):
    """An indexed video."""

    video_id: str
    title: str
    license: str
    narrated: bool
    duration_seconds: float
    attributes: dict[str, list[str]]


class Videos(_Message):
    """All indexed videos."""

    videos: list[Video]


class IndexFacts(_Message):
    """What is searched, and by which model."""

    model: str
    weights_sha256: str
    dim: int
    videos: int
    windows: int
    window_seconds: float
    facets: dict[str, dict[str, int]] = Field(description="Videos by attribute and value: what filters can ask for.")
    calibrated: bool
    phase_prompts: str


class Suggestions(_Message):
    """Instruments' names that begin as a text does."""

    suggestions: list[str]


class Phase(_Message):
    """A stretch of a video and its phase."""

    phase: str
    start_seconds: float
    end_seconds: float


class Phases(_Message):
    """The phases of a video, without gaps."""

    prompts: str
    names: list[str] = Field(description="All phases that are looked for, in any video, in their usual order.")
    spans: list[Phase]


class CurvePoints(_Message):
    """Cosine of a query with every window of a video, in order."""

    start_seconds: list[float]
    end_seconds: list[float]
    scores: list[float]


class Session(_Message):
    """A token to be kept in a cookie, for pictures and videos."""

    token: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Status(_Message):
    """Whether the service lives, or can answer."""

    status: str
