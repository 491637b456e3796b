"""JSON and YAML that others wrote: what is nested without end, or grows by references, is a fault like any other."""

from __future__ import annotations

import json
from typing import Any

import yaml

_DEEPEST = 100
"""Levels of YAML; what is read here has five. The C loader has no limit of its own and overruns its stack."""
SafeLoader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse_json(text: str | bytes) -> Any:
    """The tree of a JSON text. Raises ValueError if it is none or is nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def parse_yaml(text: str, loader: type[Any] = SafeLoader) -> Any:
    """The tree of a YAML text without references, by a safe loader. Raises yaml.YAMLError otherwise."""
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError(f"a reference to {event.anchor!r}: write out what it stands for")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise yaml.YAMLError("nested too deeply")
    return yaml.load(text, Loader=loader)
