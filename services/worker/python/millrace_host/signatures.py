"""Which arguments the methods of a handler class may take, and the check of what they do take."""

from __future__ import annotations

import types
from typing import Any, NamedTuple


class SignatureError(Exception):
    """The class can not be called; the text is the sentence for the user."""


class Method(NamedTuple):
    """Names that a method must take and may take, `self` aside; `refused` names with the reason."""

    name: str
    required: tuple[str, ...]
    optional: tuple[str, ...]
    refused: dict[str, str]


_NO_CLIENT = "model caching by python_client is not supported in batch jobs; load the model in __init__ itself"

INIT = Method("__init__", ("config",), ("job_spec", "metrics_client"), {"python_client": _NO_CLIENT})
HOOK = Method("on_job_complete", (), (), {})

# The class names that people bring, and their batch method.
CLASSES = {
    "Handler": Method("handle_batch", (), ("payload", "batch_id", "parent_id"), {}),
    "PythonPredictor": Method("predict", (), ("payload", "batch_id", "headers", "query_params"), {}),
}

UNSUPPORTED_CLASSES = ("TensorFlowPredictor", "ONNXPredictor")


def arguments(function: Any) -> list[str]:
    """`inspect.getfullargspec(function).args`, without the cost of importing inspect for plain functions."""
    if type(function) is types.FunctionType and not hasattr(function, "__signature__"):
        return list(function.__code__.co_varnames[: function.__code__.co_argcount])
    import inspect

    try:
        return inspect.getfullargspec(function).args
    except TypeError:
        return []


def check(where: str, cls: type, method: Method) -> list[str]:
    """The arguments that `method` asks for, `self` left out; a SignatureError says what is wrong."""
    label = f"{where}: {cls.__name__}.{method.name}"
    function = getattr(cls, method.name, None)
    if function is None or function is object.__init__ or not callable(function):
        raise SignatureError(f"{where}: {cls.__name__} has no method {method.name}; add {_wanted(method)}")
    names = arguments(function)
    if not names or names[0] != "self":
        found = f'"{names[0]}"' if names else "none"
        raise SignatureError(f'{label}: its first argument must be "self", found {found}; write {_wanted(method)}')
    rest = names[1:]
    for name in rest:
        if rest.count(name) > 1 or name == "self":
            raise SignatureError(f'{label}: its argument "{name}" is named twice; write {_wanted(method)}')
        if name in method.refused:
            raise SignatureError(f'{label}: its argument "{name}" can not be given: {method.refused[name]}')
        if name not in method.required and name not in method.optional:
            raise SignatureError(f'{label}: its argument "{name}" is unknown; {_may_take(method)}')
    for name in method.required:
        if name not in rest:
            raise SignatureError(f'{label}: its argument "{name}" is missing; write {_wanted(method)}')
    return rest


def _wanted(method: Method) -> str:
    suggested = method.required if method.required else method.optional[:1]
    return f"def {method.name}({', '.join(('self', *suggested))})"


def _may_take(method: Method) -> str:
    names = (*method.required, *method.optional)
    return f"it may take {', '.join(('self', *names))}" if names else "it takes self only"
