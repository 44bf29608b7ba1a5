"""What every API endpoint shares: strict JSON, paging, one shape of error."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from django.core.exceptions import RequestDataTooBig
from django.db import IntegrityError, OperationalError
from rest_framework.exceptions import APIException, ParseError
from rest_framework.pagination import PageNumberPagination
from rest_framework.parsers import JSONParser
from rest_framework.response import Response

MAX_DEPTH = 8


class Page(PageNumberPagination):
    """`?page=2&limit=50`; at most 500 rows."""

    page_size = 50
    page_size_query_param = "limit"
    max_page_size = 500


class TooLarge(APIException):
    status_code = 413
    default_detail = "The body is larger than this endpoint takes."
    default_code = "too_large"


class Unavailable(APIException):
    status_code = 503
    default_detail = "The database is away; nothing was stored. Send it again."
    default_code = "unavailable"


class Conflict(APIException):
    status_code = 409
    default_detail = "Somebody else has just changed or made the same thing. Look at it and try again."
    default_code = "conflict"


class StrictJSONParser(JSONParser):
    """JSON as RFC 8259 has it: no NaN, no bottomless nesting, no text that a database cannot keep."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        try:
            body = stream.body if hasattr(stream, "body") else stream.read()
            data = json.loads(body.decode(), parse_constant=_refuse)
        except RequestDataTooBig as error:
            raise TooLarge from error
        except (ValueError, RecursionError) as error:
            raise ParseError(f"This is no JSON: {str(error)[:200]}") from error
        _check(data, MAX_DEPTH)
        return data


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _check(value: Any, depth: int) -> None:
    """Refuse what PostgreSQL cannot store (NUL, lone surrogates), what JSON cannot say, and deep nesting."""
    if isinstance(value, dict | list):
        if depth == 0:
            raise ParseError(f"Nested more than {MAX_DEPTH} levels deep.")
        for item in value.values() if isinstance(value, dict) else value:
            _check(item, depth - 1)
        for key in value if isinstance(value, dict) else ():
            _check(key, depth)
    elif isinstance(value, str) and any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value):
        raise ParseError("Text must not hold NUL or half of a surrogate pair.")
    elif isinstance(value, float) and value in (float("inf"), float("-inf")):
        raise ParseError("A number is too large.")


def answer_error(error: Exception, context: Any) -> Response | None:
    """One shape for every error; trouble of our own says that the caller should try again."""
    from drf_standardized_errors.handler import exception_handler  # it imports the views, which import this module

    if isinstance(error, OperationalError):
        error = Unavailable()
    if isinstance(error, IntegrityError):
        error = Conflict()
    if isinstance(error, RequestDataTooBig):
        error = TooLarge()
    response = exception_handler(error, context)
    if response is not None and response.status_code == 503:
        response["Retry-After"] = "5"
    return response
