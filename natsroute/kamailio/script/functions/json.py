"""Functions of the module ``json``, which reads JSON as json-c does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from natsroute.errors import EvaluationError
from natsroute.kamailio.evaluation import NOT_JSON, Evaluation
from natsroute.kamailio.expressions import Expression
from natsroute.kamailio.json import documents as json_documents
from natsroute.kamailio.script.functions.calls import assignable, function, table, text


def _field_as_json(value: Any) -> bytes:
    return json_documents.dump(value).encode("utf-8", "surrogateescape")


def _get(shown: Callable[[Any], bytes]) -> Callable[[Evaluation, bytes, bytes, Expression], int]:
    """
    A function that assigns a field of an object to a variable.

    :param shown: gives the text of the field.
    """

    def run(evaluation: Evaluation, data: bytes, name: bytes, target: Expression) -> int:
        document = evaluation.own.document(data)
        if document is NOT_JSON:
            raise EvaluationError("the first argument is empty, or not JSON")
        field = document.get(name.decode("utf-8", "surrogateescape")) if type(document) is dict else None
        if field is None:
            return -1
        target.assign(evaluation, shown(field))
        return 1

    return run


FUNCTIONS = table(
    function("json_get_field", _get(_field_as_json), text, text, assignable),
    function("json_get_string", _get(json_documents.as_string), text, text, assignable),
)
