"""The page as one file that needs no other."""

from __future__ import annotations

from importlib import resources

from jinja2 import Environment, StrictUndefined

from ophclip.evaluation.report.page import Page


def page_html(page: Page) -> str:
    """The page as HTML: no script, no outside address, everything escaped."""
    template = resources.files("ophclip.evaluation.report").joinpath("report.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template).render(page=page)
