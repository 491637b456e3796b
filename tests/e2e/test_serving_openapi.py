"""What the OpenAPI document allows and what it does not: no request made from it brings a fault of the service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import SearchStrategy
from served_index import write_index

from ophclip.serving.app import create_app
from ophclip.serving.service import Service
from ophclip.serving_options import ServingConfig, UploadLimits

EXAMPLES = settings(
    max_examples=20,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    config = ServingConfig(allowed_hosts=["testserver"], limits=UploadLimits(decoders=1))
    made = Service(write_index(tmp_path_factory.mktemp("served")), config)
    yield made
    made.close()


@pytest.fixture(scope="module")
def document(service: Service) -> Any:
    return schemathesis.openapi.from_asgi("/openapi.json", create_app(service))


@pytest.mark.slow
def test_no_request_made_from_the_document_brings_a_fault(document: Any) -> None:
    operations = [operation.ok() for operation in document.get_all_operations()]
    assert {operation.label for operation in operations} >= {"POST /v1/search", "GET /v1/videos/{video_id}/clip"}
    for operation in operations:
        for mode in schemathesis.GenerationMode:
            with suppress(Unsatisfiable):  # a route that takes nothing cannot be given anything wrong
                _ask(operation.as_strategy(generation_mode=mode))


def _ask(cases: SearchStrategy[schemathesis.Case]) -> None:
    @settings(EXAMPLES)
    @given(case=cases)
    def ask(case: schemathesis.Case) -> None:
        answer = case.call()
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400:
            assert set(answer.json()) == {"error"}

    ask()
