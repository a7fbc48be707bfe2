"""The types of the Convex functions by module, in the form in which Convex's own tools generate them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

API_TYPES: Final = "_generated/api.d.ts"

_NOT_MODULES: Final = frozenset({"schema", "auth.config"})
_FRAME: Final = """\
/* eslint-disable */
/**
 * Generated `api` utility.
 *
 * THIS CODE IS AUTOMATICALLY GENERATED.
 *
 * To regenerate, run `npx convex dev`.
 * @module
 */

import type {{
  ApiFromModules,
  FilterApi,
  FunctionReference,
}} from "convex/server";
{imports}
/**
 * A utility for referencing Convex functions in your app's API.
 *
 * Usage:
 * ```js
 * const myFunctionReference = api.myModule.myFunction;
 * ```
 */
declare const fullApi: ApiFromModules<{{
{modules}}}>;
export declare const api: FilterApi<
  typeof fullApi,
  FunctionReference<any, "public">
>;
export declare const internal: FilterApi<
  typeof fullApi,
  FunctionReference<any, "internal">
>;
"""


def api_types(folder: Path) -> str:
    """The text of ``_generated/api.d.ts`` for the functions in ``folder``."""
    modules = {name: re.sub(r"\W", "_", name) for name in sorted(_modules(folder))}
    imports = "".join(f'import type * as {alias} from "../{name}.js";\n' for name, alias in modules.items())
    members = "".join(f"  {_key(name)}: typeof {alias};\n" for name, alias in modules.items())
    return _FRAME.format(imports=imports, modules=members)


def _modules(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*.ts"):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if not name.startswith("_generated/") and name not in _NOT_MODULES:
            yield name


def _key(name: str) -> str:
    return name if name.isidentifier() else f'"{name}"'
