"""The memory of a module belongs to one execution environment, so each environment gets its own copy."""

from collections.abc import Callable, MutableMapping, MutableSequence, MutableSet
from copy import copy
from typing import Any

type State = dict[str, Any]


def give_each_its_own(owner: Any, state: Callable[[], State]) -> None:
    """Give an object separate attributes in each execution environment.

    Args:
        owner: an object that lives in a module. Each environment starts with the object's present attributes;
            containers are copied.
        state: returns the memory of the present environment.
    """
    beginning = dict(vars(owner))
    name = f"object {id(owner)}"
    cls = type(owner)

    def attributes() -> dict[str, Any]:
        kept = state()
        if name not in kept:
            kept[name] = {key: _copied(value) for key, value in beginning.items()}
        found: dict[str, Any] = kept[name]
        return found

    def get(_self: Any, key: str) -> Any:
        if key in beginning:
            return attributes()[key]
        return object.__getattribute__(owner, key)

    def put(_self: Any, key: str, value: Any) -> None:
        attributes()[key] = value

    own = type(cls.__name__, (cls,), {"__getattribute__": get, "__setattr__": put})
    object.__setattr__(owner, "__class__", own)


def _copied(value: Any) -> Any:
    return copy(value) if isinstance(value, MutableMapping | MutableSequence | MutableSet) else value
