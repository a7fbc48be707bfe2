"""What document 004 takes from its framework beside storage: a function that is called for each spore."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from typing import Any


@dataclass(frozen=True)
class Spore:
    """A message to an agent."""

    knowledge: dict[str, Any] = field(default_factory=dict)


def agent(name: str, *, memory: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The framework's decorator returns the function itself, with more attributes; so does this one."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        function.agent_name = name  # type: ignore[attr-defined]
        if memory:
            remembered: list[str] = []
            function.remembered = remembered  # type: ignore[attr-defined]
            function.remember = remembered.append  # type: ignore[attr-defined]
        return function

    return decorate
