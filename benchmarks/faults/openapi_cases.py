"""Requests made from the OpenAPI document, good and bad: each is answered as the document says."""

import contextlib
import logging
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from benchmarks.faults.load import SHOWN

logger = logging.getLogger("recommender.benchmarks.faults")

_CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
]


def openapi_cases(described: Any, key: str, *, cases: int) -> dict[str, Any]:
    """Ask every operation that a service describes, as the document says and otherwise.

    Args:
        described: the document, as `schemathesis.openapi` loads it, with the service behind it.
        key: of an administrator, so that nothing is refused for want of one.
        cases: of each operation as the document says, and as many otherwise; fewer where there are no more.
    """
    statuses: dict[int, int] = {}
    violations: list[str] = []
    operations = [found.ok() for found in described.get_all_operations()]
    for operation in operations:
        for mode in GenerationMode:

            @settings(
                max_examples=cases,
                deadline=None,
                derandomize=True,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(operation.as_strategy(generation_mode=mode))
            def ask(case: Any) -> None:
                answer = case.call(headers={"X-API-Key": key})
                statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
                try:
                    case.validate_response(answer, checks=_CHECKS)
                except FailureGroup as wrong:
                    violations.extend(
                        f"{failure}: {case.as_curl_command()[:500]}" for failure in wrong.exceptions
                    )

            # An operation that takes nothing cannot be asked for wrongly.
            with contextlib.suppress(Unsatisfiable):
                ask()
        logger.info("%s: %d cases until here", operation.label, sum(statuses.values()))
    return {
        "operations": len(operations),
        "cases": sum(statuses.values()),
        "statuses": {str(status): count for status, count in sorted(statuses.items())},
        "server_errors": sum(count for status, count in statuses.items() if status >= 500),
        "violations": violations[:SHOWN],
    }
