"""SQL text as operations, for backends that do not speak SQL, and what a text does, for the access rules.

The parser is loaded with the first text: it takes as long as the application's own modules, and most run no SQL text.
"""

from typing import TYPE_CHECKING

from database.core.first_use import on_first_use

if TYPE_CHECKING:
    from database.adapters.translation.translator import run_sql
    from database.adapters.translation.translator import translate
    from database.adapters.translation.usage import not_judged
    from database.adapters.translation.usage import require_known_names
    from database.adapters.translation.usage import require_size
    from database.adapters.translation.usage import uses
else:
    __getattr__ = on_first_use(
        __name__,
        {
            "not_judged": "usage",
            "require_known_names": "usage",
            "require_size": "usage",
            "run_sql": "translator",
            "translate": "translator",
            "uses": "usage",
        },
    )

__all__ = ["not_judged", "require_known_names", "require_size", "run_sql", "translate", "uses"]
