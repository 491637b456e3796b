"""How vectors are held and searched: typed, explained where it stands, free of torch and FAISS.

What was measured stands in docs/adr/0006-retrieval-index.md.
"""

from __future__ import annotations

from dataclasses import dataclass

KINDS = ("exact", "ivf", "hnsw")
ROW_TYPES = ("float32", "float16")
FIRST_PASSES = ("auto", "bfloat16", "float32", "codes")
DEVICES = ("auto", "cpu", "cuda")


@dataclass(kw_only=True, slots=True)
class VectorConfig:
    """Options of a vector index and of the knowledge bank."""

    kind: str = "exact"
    """`exact` compares every row; `ivf` only the rows of the nearest lists; `hnsw` walks a graph of neighbours.
    Default: exact, since up to some hundred thousand rows nothing is gained by less."""
    row_type: str = "float32"
    """`float32`, or `float16`: half the memory, numbers rounded to eleven bits."""
    nlist: int = 0
    """Lists of `ivf`; 0 takes 4 sqrt(rows), as FAISS' guidelines say, and at most a list for every 39 rows, which is
    the least that its clustering wants."""
    nprobe: int = 0
    """Lists that an `ivf` search reads; 0 takes one in 32, at least 8: 99.9 % of neighbours on clustered vectors."""
    m: int = 32
    """Links of a node of `hnsw`. Default: FAISS' 32."""
    ef_construction: int = 40
    """Candidates kept while a node is linked into `hnsw`. Default: FAISS' 40."""
    ef_search: int = 64
    """Candidates kept during an `hnsw` search, at least k. Default decided here: FAISS' 16 found 99.2 % of neighbours
    on clustered vectors, 64 more than 99.8 %."""
    exact_below: float = 0.1
    """A filter that leaves at most this share of rows is searched exactly, whatever the kind; above it `ivf` and `hnsw`
    read more, in inverse proportion to the share. Default decided here: at 0.1 that is ten times as much."""
    first_pass: str = "auto"
    """Arithmetic in which exact search on the CPU first looks at all rows: `bfloat16`, `float32`, or `auto`: bfloat16
    on processors with matrix instructions for it (AMX), where alone it was seen to be faster. Results are the same.
    `codes` is for unit rows asked one query at a time: two bits a number, kept beside the rows (`coded.py`)."""
    device: str = "auto"
    """Where exact search computes: `cpu`, `cuda`, or `auto`, a GPU if torch sees one."""

    def __post_init__(self) -> None:
        choices = {"kind": KINDS, "row_type": ROW_TYPES, "first_pass": FIRST_PASSES, "device": DEVICES}
        for name, words in choices.items():
            if getattr(self, name) not in words:
                raise ValueError(f"{name}: expected one of {', '.join(words)}, found {getattr(self, name)!r}")
        for name in ("m", "ef_construction", "ef_search"):
            if getattr(self, name) < 2:
                raise ValueError(f"{name}: expected at least 2, found {getattr(self, name)}")
        if self.nlist < 0 or self.nprobe < 0:
            raise ValueError("nlist and nprobe must not be negative; 0 chooses them by the number of rows")
        if not 0 <= self.exact_below <= 1:
            raise ValueError(f"exact_below: expected a share in 0 to 1, found {self.exact_below}")


def same_structure(one: VectorConfig, other: VectorConfig) -> bool:
    """Whether what one search has built serves the other."""
    built_with = ("kind", "nlist", "m", "ef_construction")
    return all(getattr(one, name) == getattr(other, name) for name in built_with)


def lists_for(rows: int, config: VectorConfig) -> int:
    """How many lists `ivf` divides this many rows into."""
    return config.nlist or max(1, min(int(4 * rows**0.5), rows // 39))


def probes_for(lists: int, config: VectorConfig) -> int:
    """How many of its lists a search reads."""
    return min(lists, config.nprobe or max(8, lists // 32))
