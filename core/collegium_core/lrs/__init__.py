"""The rules of the Learning Record Store: pure functions over statements and requests, no I/O (xAPI 1.0.3 and 2.0).

A statement's way in: :mod:`validation` (with :mod:`checks`, :mod:`actors`, :mod:`parts`, :mod:`syntax`,
:mod:`timestamps`, :mod:`versions`), :mod:`normal`, later :mod:`keys`; against one of the same id: :mod:`compare`. A
request's: :mod:`query`, :mod:`cursor`. What is kept: :mod:`record`.
"""
