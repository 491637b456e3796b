"""How far the confidence of phases can be believed, as pictures with their numbers. Shapes: K points."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ophclip.evaluation.calibration import Bin, reliability, risk_by_coverage
from ophclip.evaluation.reading import Written
from ophclip.evaluation.report.charts import Curve, line_chart, reliability_diagram
from ophclip.evaluation.report.figures import Figure, figure_text
from ophclip.evaluation.report.page import Picture, Section, Table, drawn

_SHARES = np.arange(1, 101) / 100


def confidence_section(written: Written) -> Section | None:
    """None where the predictions have no confidences."""
    figures: Mapping[str, Figure] = written.tree["calibration"]
    if not figures:
        return None
    return Section(
        anchor="confidence",
        title="Confidence",
        lead="Confidence is the softmax of the similarities at the model's own temperature, without smoothing.",
        pictures=(_reliability(written, figure_text(figures["ece"])), _risk(written, figure_text(figures["aurc"]))),
    )


def _reliability(written: Written, error: str) -> Picture:
    bins = reliability(written.timelines)
    return drawn(
        reliability_diagram(bins, note=f"expected calibration error {error}"),
        title="Reliability",
        text="Bars: the share of right seconds among those of a confidence, all videos pooled; dots: their mean "
        "confidence. On the dashed line the model is as sure as it is right; below it, too sure.",
        alt=f"Reliability diagram with {len(bins)} bins; expected calibration error {error}.",
        numbers=Table(
            caption="Confidence bins",
            headings=("from", "to", "seconds", "mean confidence", "share right"),
            rows=tuple(map(_bin_row, bins)),
            words=0,
        ),
        file="reliability",
        width_px=420,
    )


def _bin_row(one: Bin) -> tuple[str, ...]:
    means = (f"{one.confidence:.4f}", f"{one.accuracy:.4f}") if one.seconds else ("", "")
    return (f"{one.low:.3f}", f"{one.high:.3f}", str(one.seconds), *means)


def _risk(written: Written, area: str) -> Picture:
    risks_k = risk_by_coverage(written.timelines, _SHARES)
    return drawn(
        line_chart(
            [Curve(label="error rate", x_k=_SHARES * 100, y_k=risks_k)],
            x="surest seconds kept (%)",
            y="error rate among them",
        ),
        title="Risk and coverage",
        text=f"If only the surest seconds are used, how often are they wrong? Mean over videos; area {area}. A curve "
        "that does not rise says that confidence is of no use.",
        alt=f"Error rate against the share of seconds kept: {risks_k[9]:.2f} at 10 %, {risks_k[-1]:.2f} at 100 %.",
        numbers=Table(
            caption="Error rate by coverage",
            headings=("kept (%)", "error rate"),
            rows=tuple((f"{share * 100:.0f}", f"{risk:.4f}") for share, risk in zip(_SHARES, risks_k, strict=True)),
            words=0,
        ),
        file="risk_coverage",
        width_px=420,
    )
