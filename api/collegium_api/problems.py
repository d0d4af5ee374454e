"""Exceptions become problem documents (RFC 9457): one shape for every error of the platform."""

from __future__ import annotations

import msgspec

from collegium_core.errors import FieldError, Problem

__all__ = ["ProblemDocument", "document_of", "encode_problem"]


class ProblemDocument(msgspec.Struct, omit_defaults=True, frozen=True):
    """The body of every answer that is not a success."""

    type: str
    title: str
    status: int
    detail: str = ""
    instance: str = ""
    errors: tuple[FieldError, ...] = ()


def document_of(problem: Problem, instance: str) -> ProblemDocument:
    """Return the document of *problem*; *instance* is the request's path."""
    return ProblemDocument(
        type=f"https://collegium.dev/problems/{problem.code}",
        title=problem.title,
        status=problem.status,
        detail=problem.detail,
        instance=instance,
        errors=problem.errors,
    )


def encode_problem(problem: Problem, instance: str) -> bytes:
    """Return the body for *problem* as JSON bytes."""
    return msgspec.json.encode(document_of(problem, instance))
