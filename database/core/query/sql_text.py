"""Decides which SQL text certainly reads only, so that it may be retried and run on another database.

Only the text is examined, by rules that hold in every dialect: if PostgreSQL and SQLite could read it differently, or
if it calls an unknown function, it counts as writing. A function hidden in a view, an operator or a cast is not
detected.
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
"""The tokens that both dialects read alike. Text with any other token, such as a backslash, ``$`` or ``/*``, counts as
writing."""

_LONGEST_KEPT: Final = 4096


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FIRST: Final = frozenset({"select", "values", "explain", "show", "table"})

_WRITING: Final = _words(
    "alter analyse analyze call copy create delete drop execute grant insert into lock merge replace share truncate "
    "update"
)
"""Words that write, take locks (FOR UPDATE, FOR SHARE), or make EXPLAIN execute its statement."""

_BEFORE_PARENTHESIS: Final = _words(
    "all and any array as between by case cube distinct else except exists explain filter from group having ilike in "
    "intersect is join lateral like limit not offset on only or over rollup row select sets some then union using "
    "values when where zone"
)
"""Keywords that may precede a parenthesis without calling a function."""

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
    """Whether ``text`` is one statement that certainly changes nothing; False in case of doubt."""
    # Called several times per statement. Long texts are not cached, so that the cache stays small.
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
        # After a dot, a word is a name and not one of these functions.
        last = "." + now if last == "." else now
    return last != ""


def _folded(token: str) -> str:
    # The databases fold only ASCII letters.
    return token.lower() if token.isascii() else token


def _calls(name: str) -> bool:
    """Whether a parenthesis after ``name`` may call a function that writes."""
    if name[0] in "'\"[._":
        return True
    return name[0].isalpha() and name not in _HARMLESS


_cached = lru_cache(maxsize=512)(_reads)
