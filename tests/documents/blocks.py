"""The code of a Markdown document, to be run as it stands there."""

from __future__ import annotations

import asyncio
import re
from ast import PyCF_ALLOW_TOP_LEVEL_AWAIT
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from inspect import CO_COROUTINE
from pathlib import Path
from typing import Any

_HEADING = re.compile(r"(##+) (.+)")
_FENCE = re.compile(r"```(\w*)")


@dataclass(frozen=True, slots=True)
class Block:
    """Code between two fences.

    :ivar section: the headings above it, as in ``Usage Examples / Transactions``.
    :ivar line: where its first line stands in the document, from 1.
    """

    path: Path
    section: str
    language: str
    line: int
    code: str

    def with_replaced(self, replacements: Mapping[str, str]) -> Block:
        """The block with other texts in the place of some.

        :raises ValueError: if one of those is not in it.
        """
        code = self.code
        for text, other in replacements.items():
            if text not in self.code:
                raise ValueError(f"{self.section} has no {text!r}")
            code = code.replace(text, other)
        return replace(self, code=code)

    def run(self, **names: Any) -> dict[str, Any]:
        """Execute it with some names defined; all names that there are at its end. It may await.

        Tracebacks show the document's own lines, as long as no replacement has moved them.
        """
        variables = {"__name__": "document", **names}
        source = "\n" * (self.line - 1) + self.code
        code = compile(source, str(self.path), "exec", flags=PyCF_ALLOW_TOP_LEVEL_AWAIT)
        answer = eval(code, variables)  # noqa: S307 - the document is part of the repository
        if code.co_flags & CO_COROUTINE:
            asyncio.run(answer)
        return variables


def blocks(path: Path, language: str) -> list[Block]:
    """The document's blocks in that language, in their order."""
    return [block for block in _all_blocks(path) if block.language == language]


def _all_blocks(path: Path) -> Iterator[Block]:
    headings: dict[int, str] = {}
    started: tuple[int, str] | None = None
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines):
        fence = _FENCE.fullmatch(line)
        if started is not None:
            if fence is not None:
                first, language = started
                code = "\n".join(lines[first:number]) + "\n"
                yield Block(path, " / ".join(headings.values()), language, first + 1, code)
                started = None
        elif fence is not None:
            started = number + 1, fence[1]
        elif heading := _HEADING.fullmatch(line):
            depth = len(heading[1])
            headings = {level: title for level, title in headings.items() if level < depth} | {depth: heading[2]}
