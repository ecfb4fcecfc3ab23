"""Does the annotation of an attribute say that it may be None? A mapped class and a name in; yes, no or unknown out."""

from __future__ import annotations

import inspect
import sys
import types
import typing
from typing import Any

from sqlalchemy.orm import Mapped


def is_optional(class_: type, attribute: str) -> bool | None:
    """Tell whether ``Mapped[...]`` of an attribute has None in it.

    Args:
        class_: the mapped class; the annotation may be on a mixin.
        attribute: its name.

    Returns:
        None where there is no such annotation, or it cannot be resolved (names imported for type checkers only).
    """
    for each in class_.__mro__:
        try:
            annotation = inspect.get_annotations(each).get(attribute)
        except Exception:  # noqa: BLE001 - evaluating other people's annotations may raise anything
            return None
        if annotation is not None:
            return _judge(_resolve(annotation, each))
    return None


def _resolve(annotation: Any, class_: type) -> Any:
    holder = types.SimpleNamespace(__annotations__={"it": annotation})
    namespace = vars(sys.modules.get(class_.__module__, typing))
    try:
        return typing.get_type_hints(holder, globalns=dict(namespace), localns=dict(vars(class_)))["it"]
    except Exception:  # noqa: BLE001 - as above
        return None


def _judge(annotation: Any) -> bool | None:
    origin = typing.get_origin(annotation)
    if not (inspect.isclass(origin) and issubclass(origin, Mapped)):
        return None
    return _has_none(typing.get_args(annotation)[0])


def _has_none(annotation: Any) -> bool | None:
    value = getattr(annotation, "__value__", None)  # a type alias of Python 3.12
    if value is not None:
        return _has_none(value)
    if annotation is Any or isinstance(annotation, str | typing.TypeVar | typing.ForwardRef):
        return None
    if annotation is None or annotation is type(None):
        return True
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        judged = [_has_none(each) for each in typing.get_args(annotation)]
        return True if True in judged else None if None in judged else False
    return False
