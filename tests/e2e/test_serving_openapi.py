"""What the OpenAPI document allows and what it does not: no request made from it brings a fault of the service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from served_index import write_index

from ophclip.serving.app import create_app
from ophclip.serving.service import Service
from ophclip.serving_options import ServingConfig, UploadLimits


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    config = ServingConfig(allowed_hosts=["testserver"], limits=UploadLimits(decoders=1))
    made = Service(write_index(tmp_path_factory.mktemp("served")), config)
    yield made
    made.close()


@pytest.fixture(scope="module")
def document(service: Service) -> Any:
    return schemathesis.openapi.from_asgi("/openapi.json", create_app(service))


schema = schemathesis.pytest.from_fixture("document")


@schema.parametrize()
@settings(
    max_examples=25,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_no_request_made_from_the_document_brings_a_fault(case: schemathesis.Case) -> None:
    answer = case.call()
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert set(answer.json()) == {"error"}
    case.validate_response(answer, checks=[schemathesis.checks.not_a_server_error])


def test_every_route_is_in_the_document(document: Any) -> None:
    assert len(list(document.get_all_operations())) >= 16
