"""Translates SQL text to operations for backends without SQL, and finds the tables of a text for the access rules.

The parser is loaded with the first SQL text: importing it takes as long as all other modules of the application, and
most applications run no SQL text.
"""

from typing import TYPE_CHECKING

from database.core.first_use import on_first_use

if TYPE_CHECKING:
    from database.translation.referenced_tables import not_judged
    from database.translation.referenced_tables import require_known_names
    from database.translation.referenced_tables import require_size
    from database.translation.referenced_tables import uses
    from database.translation.translator import run_sql
    from database.translation.translator import translate
else:
    __getattr__ = on_first_use(
        __name__,
        {
            "not_judged": "referenced_tables",
            "require_known_names": "referenced_tables",
            "require_size": "referenced_tables",
            "run_sql": "translator",
            "translate": "translator",
            "uses": "referenced_tables",
        },
    )

__all__ = ["not_judged", "require_known_names", "require_size", "run_sql", "translate", "uses"]
