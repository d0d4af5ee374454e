"""No route without a scope or a place on the short list of public ones, and none that the reference does not name."""

from __future__ import annotations

import pytest
from litestar import Litestar

from collegium_api.app import HANDLERS, locate_statements
from collegium_api.census import ROUTES

PUBLIC = {"/healthz", "/readyz", "/ping", "/schema"}


def test_routes_without_a_scope_are_the_known_public_ones() -> None:
    """A new public route has to be put on this list by hand."""
    assert PUBLIC == {route.path for route in ROUTES if not route.scope}


def test_the_framework_serves_what_the_table_says() -> None:
    """Path and methods of every handler, no more and no less; the OpenAPI document is a handler of the framework's."""
    routes = Litestar(HANDLERS, openapi_config=None, logging_config=None).routes
    served = {
        (route.path, method) for route in routes for method in getattr(route, "methods", ()) if method != "OPTIONS"
    }
    stated = {
        (route.path, method)
        for route in ROUTES
        for method in route.methods
        if locate_statements(route.path) is None and route.path != "/schema"
    }
    assert stated == served


@pytest.mark.parametrize("route", [route.path for route in ROUTES if route.scope])
def test_every_spelling_of_statements_is_recognised(route: str) -> None:
    """The paths in the table are the ones that the application takes, with and without root path and trailing slash."""
    expected = "acme" if "{tenant}" in route else "default"
    path = route.replace("{tenant}", "acme")
    assert expected == locate_statements(path)
    assert expected == locate_statements(path + "/")


@pytest.mark.parametrize(
    "path", ["/", "/xAPI", "/acme/statements", "/acme/xapi/statements", "/acme/xAPI/statements/x", "//xAPI/statements"]
)
def test_other_paths_are_not_statements(path: str) -> None:
    """What only looks like the resource goes to the framework, which has no such route."""
    assert locate_statements(path) is None
