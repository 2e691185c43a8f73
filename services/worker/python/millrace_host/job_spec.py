"""The job_spec that a handler gets while the number of batches is not known yet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Callable

TOTAL = "total_batch_count"


class WaitingJobSpec(dict[str, Any]):
    """
    A dict whose `total_batch_count` waits, when it is read in any way, until the whole input has been split. Reading
    other keys does not wait. (C code that looks into a dict without asking it, such as orjson's, does not see the key.)
    """

    def __init__(self, known: dict[str, Any], wait: Callable[[], int]) -> None:
        super().__init__(known)
        self._wait = wait

    def _fill(self) -> dict[str, Any]:
        if not dict.__contains__(self, TOTAL):
            dict.__setitem__(self, TOTAL, self._wait())
        return self

    def _fill_for(self, key: object) -> None:
        if key == TOTAL:
            self._fill()

    def __getitem__(self, key: str) -> Any:
        self._fill_for(key)
        return dict.__getitem__(self, key)

    def get(self, key: str, default: Any = None) -> Any:
        self._fill_for(key)
        return dict.get(self, key, default)

    def pop(self, key: str, *default: Any) -> Any:
        self._fill_for(key)
        return dict.pop(self, key, *default)

    def setdefault(self, key: str, default: Any = None) -> Any:
        self._fill_for(key)
        return dict.setdefault(self, key, default)

    def popitem(self) -> tuple[str, Any]:
        self._fill()
        return dict.popitem(self)

    def __delitem__(self, key: str) -> None:
        self._fill_for(key)
        dict.__delitem__(self, key)

    def __contains__(self, key: object) -> bool:
        self._fill_for(key)
        return dict.__contains__(self, key)

    def __iter__(self) -> Iterator[str]:
        self._fill()
        return dict.__iter__(self)

    def __reversed__(self) -> Iterator[str]:
        self._fill()
        return dict.__reversed__(self)

    def __len__(self) -> int:
        self._fill()
        return dict.__len__(self)

    def keys(self) -> Any:
        self._fill()
        return dict.keys(self)

    def values(self) -> Any:
        self._fill()
        return dict.values(self)

    def items(self) -> Any:
        self._fill()
        return dict.items(self)

    def copy(self) -> dict[str, Any]:
        return dict(dict.items(self._fill()))

    def __eq__(self, other: object) -> bool:
        self._fill()
        return dict.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None

    def __repr__(self) -> str:
        self._fill()
        return dict.__repr__(self)

    def __or__(self, other: Any) -> Any:
        return self.copy() | other

    def __ror__(self, other: Any) -> Any:
        return other | self.copy()

    def __reduce_ex__(self, protocol: Any) -> Any:
        return (dict, (self.copy(),))
