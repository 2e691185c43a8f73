"""Imports the user's file, finds the handler class in it, and makes its one instance."""

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import Any, Callable, Optional

from . import failures, signatures
from .signatures import SignatureError


class StartFailed(Exception):
    """The handler can not start: a sentence, of which kind, and the traceback's text."""

    def __init__(self, error: str, kind: str, traceback: str = "") -> None:
        super().__init__(error)
        self.error, self.kind, self.traceback = failures.sentence(error), kind, traceback


class Loaded:
    """The handler's instance and what its methods ask for."""

    def __init__(self, instance: Any, method: str, asked: list[str], hook: bool) -> None:
        self.call: Callable[..., Any] = getattr(instance, method)
        self.method = method
        self.asked = frozenset(asked)
        self.hook: Optional[Callable[[], Any]] = instance.on_job_complete if hook else None


def load(project: str, path: str, python_path: Optional[str], given: dict[str, Any]) -> Loaded:
    """`given`: every argument that `__init__` may ask for. Throws StartFailed."""
    cls = _find_class(project, path, python_path)
    try:
        init = signatures.check(path, cls, signatures.INIT)
        method = signatures.CLASSES[_role(cls)]
        asked = signatures.check(path, cls, method)
        hook = getattr(cls, signatures.HOOK.name, None) is not None
        if hook:
            signatures.check(path, cls, signatures.HOOK)
    except SignatureError as error:
        raise StartFailed(str(error), "signature") from None
    try:
        instance = cls(**{name: given[name] for name in init})
    except BaseException as error:
        raise _raised(f"{path}: {cls.__name__}.__init__", error, "init") from None
    return Loaded(instance, method.name, asked, hook)


def _role(cls: type) -> str:
    return _roles.get(cls, cls.__name__)


_roles: dict[type, str] = {}


def _find_class(project: str, path: str, python_path: Optional[str]) -> type:
    file = os.path.join(project, path)
    if not os.path.isfile(file):
        raise StartFailed(
            f"{path}: there is no such file in the project; set handler.path to the file of the class", "import"
        )
    if path.endswith(".pickle"):
        return _check_class(path, _unpickle(path, file))
    module = _import(path, file, _module_name(project, path, python_path))
    names = [name for name in signatures.CLASSES if isinstance(getattr(module, name, None), type)]
    if len(names) == 1:
        cls: type = getattr(module, names[0])
        _roles[cls] = names[0]
        return cls
    for name in signatures.UNSUPPORTED_CLASSES:
        if isinstance(getattr(module, name, None), type):
            raise StartFailed(
                f"{path}: the class {name} is not supported yet; write a class Handler that loads the model itself",
                "signature",
            )
    if names:
        raise StartFailed(f"{path}: it defines {' and '.join(names)}; keep exactly one handler class", "signature")
    raise StartFailed(f"{path}: it defines no class Handler (or PythonPredictor); add one", "signature")


def _check_class(path: str, cls: Any) -> type:
    if not isinstance(cls, type) or cls.__name__ not in signatures.CLASSES:
        raise StartFailed(
            f"{path}: the pickle holds no class Handler (or PythonPredictor); pickle the class itself", "signature"
        )
    return cls


def _unpickle(path: str, file: str) -> Any:
    try:
        import dill  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        raise StartFailed(
            f"{path}: a pickled handler needs the package dill; add it to requirements.txt", "import"
        ) from None
    try:
        with open(file, "rb") as stream:
            return dill.load(stream)
    except BaseException as error:
        raise _raised(f"{path}: loading the pickle", error, "import") from None


def _module_name(project: str, path: str, python_path: Optional[str]) -> str:
    """The name by which pickles and child processes can import the file again, where it has one that is free."""
    relative = os.path.normpath(path)
    if python_path is not None:
        inside = os.path.relpath(os.path.join(project, path), os.path.join(project, python_path))
        relative = relative if inside.startswith(os.pardir) else inside
    name = os.path.splitext(relative)[0].replace(os.sep, ".")
    taken = name in sys.modules or name in getattr(sys, "stdlib_module_names", ())
    return name if name.isidentifier() and not taken else "millrace_user_handler"


def _import(path: str, file: str, name: str) -> ModuleType:
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise StartFailed(f"{path}: it is no Python file; set handler.path to a file that ends with .py", "import")
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        raise _raised(f"{path}: importing it", error, "import") from None
    return module


def _raised(doing: str, error: BaseException, kind: str) -> StartFailed:
    if isinstance(error, SystemExit):
        return StartFailed(f"{doing} called sys.exit({error.code!r})", kind, failures.traceback_of(error))
    hint = "; add its package to requirements.txt" if isinstance(error, ModuleNotFoundError) else ""
    return StartFailed(f"{doing} raised {failures.name(error)}{hint}", kind, failures.traceback_of(error))
