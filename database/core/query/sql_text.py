"""Which SQL text certainly changes nothing, so that it may be sent twice and answered by another database.

The text alone is looked at, in a way that holds for every dialect: where PostgreSQL and SQLite could read it
differently, or where a function is called that is not known, it counts as writing. A view, an operator or a cast that
hides a function is not seen.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from typing import Literal

SqlDialectName = Literal["postgres", "sqlite"]
"""The dialect of a database's SQL text."""

_TOKEN: Final = re.compile(
    r"""
    (?P<gap> [ \t\n\r\f]+ | --[^\r\n]*(?=\r?\n|\Z) )
  | (?P<word> [^\W\d]\w* )
  | (?P<end> ; )
  | '(?:[^'\\]|'')*' | "(?:[^"\\]|"")*"
  | \[ [\w\s,:.%?]* \]  # a list of PostgreSQL's, a name of SQLite's
  | [0-9.]+
  | -(?!-) | /(?!\*) | [^\s\w"'\[\]\\/;`$-]
    """,
    re.X,
)
"""What both dialects read alike. A text with anything else in it is not judged: a backslash, a ``$``, ``/*``."""

_LONGEST_KEPT: Final = 4096


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FIRST: Final = frozenset({"select", "values", "explain", "show", "table"})

_WRITING: Final = _words(
    "alter analyse analyze call copy create delete drop execute grant insert into lock merge replace share truncate "
    "update"
)
"""Words that change something, take locks (FOR UPDATE, FOR SHARE), or carry out what is to be explained."""

_BEFORE_PARENTHESIS: Final = _words(
    "all and any array as between by case cube distinct else except exists explain filter from group having ilike in "
    "intersect is join lateral like limit not offset on only or over rollup row select sets some then union using "
    "values when where zone"
)
"""Keywords that may stand before a parenthesis without calling anything."""

_TYPES: Final = _words("bit char character decimal float interval numeric time timestamp timestamptz varchar varying")

_FUNCTIONS: Final = _words(
    # Aggregates and windows
    "array_agg avg bool_and bool_or count cume_dist dense_rank every first_value group_concat json_agg "
    "json_group_array json_group_object json_object_agg jsonb_agg jsonb_object_agg lag last_value lead max min mode "
    "nth_value ntile percent_rank percentile_cont percentile_disc rank row_number stddev stddev_pop stddev_samp "
    "string_agg sum total var_pop var_samp variance "
    # Conditions and numbers
    "abs cast ceil ceiling coalesce exp floor generate_series greatest ifnull iif least ln log log10 mod nullif "
    "pg_typeof power random round sign sqrt trunc typeof "
    # Texts
    "btrim char_length character_length concat concat_ws hex initcap instr left length lower lpad ltrim md5 "
    "octet_length overlay position quote regexp_match regexp_matches repeat reverse right rpad rtrim split_part "
    "starts_with strpos substr substring to_char to_number translate trim upper "
    # Times
    "age date date_part date_trunc datetime extract julianday make_date make_interval make_timestamp now strftime "
    "to_date to_timestamp unixepoch "
    # JSON and arrays
    "array_length array_position array_to_string cardinality json_array json_array_elements json_array_length "
    "json_build_array json_build_object json_each json_extract json_object json_object_keys json_tree json_type "
    "json_valid jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_build_array "
    "jsonb_build_object jsonb_each jsonb_each_text jsonb_extract_path jsonb_extract_path_text jsonb_object_keys "
    "jsonb_path_exists jsonb_path_query jsonb_path_query_array jsonb_path_query_first jsonb_typeof row_to_json "
    "string_to_array to_json to_jsonb unnest "
    # Full texts, and the server
    "current_setting pg_sleep plainto_tsquery sqlite_version to_tsquery to_tsvector ts_rank version "
    "websearch_to_tsquery"
)
"""Functions of SQL, PostgreSQL and SQLite that change nothing."""

_HARMLESS: Final = _BEFORE_PARENTHESIS | _TYPES | _FUNCTIONS


def certainly_reads(text: str) -> bool:
    """Whether ``text`` is one statement that changes nothing; False where that cannot be told for certain."""
    # Looked up several times a call. A long text is looked at each time, so that the cache stays small.
    return _cached(text) if len(text) <= _LONGEST_KEPT else _reads(text)


def _reads(text: str) -> bool:
    position, last = 0, ""
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            return False
        position = token.end()
        if token.lastgroup == "gap":
            continue
        if token.lastgroup == "end":
            return last != "" and not text[position:].strip()
        now = _folded(token[0])
        if not last and now not in _FIRST:
            return False
        if token.lastgroup == "word" and last != "." and now in _WRITING:
            return False
        if now == "(" and _calls(last):
            return False
        # Behind a dot, a word is a name, and none of these functions.
        last = "." + now if last == "." else now
    return last != ""


def _folded(token: str) -> str:
    # The databases fold ASCII alone.
    return token.lower() if token.isascii() else token


def _calls(name: str) -> bool:
    """Whether a parenthesis behind ``name`` may call a function that changes something."""
    if name[0] in "'\"[._":
        return True
    return name[0].isalpha() and name not in _HARMLESS


_cached = lru_cache(maxsize=512)(_reads)
