"""What every HTTP request passes, whoever answers it."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

Next = Callable[[HttpRequest], HttpResponseBase]


class DropTrailingSlash:
    """`/api/v1/units/` is `/api/v1/units`. Rewritten, never redirected: a redirect loses the body of a POST."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info.startswith("/api/") and request.path_info.endswith("/"):
            request.path_info = request.path_info.rstrip("/")
            request.path = request.path.rstrip("/")
        return self.get_response(request)


class ContentSecurityPolicy:
    """Pages load nothing from elsewhere and run no script but their own files.

    The admin and the API's documentation come from libraries that write scripts into their pages; they may, but they
    load nothing from elsewhere either.
    """

    POLICY = (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    )
    LIBRARIES = ("/admin", "/docs", "/redoc")
    POLICY_OF_LIBRARIES = (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
    )

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        is_library = request.path_info.startswith(self.LIBRARIES)
        response["Content-Security-Policy"] = self.POLICY_OF_LIBRARIES if is_library else self.POLICY
        return response
