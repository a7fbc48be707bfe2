// Values as PostgREST writes them. A number that JavaScript would change travels as text behind a mark, which no text
// of PostgreSQL contains, and is unmarked in the body of the answer.

const MARK = "\0";
const MARKED = /"\\u0000([-+.\deE]+)"/g;
const TEXT_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d[-+.\deE]*/g;

const TEXT_OR_INTEGER = /"(?:[^"\\]|\\.)*"|(?<=\b(?:eq|neq|gte?|lte?)\.|[(,])-?\d{16,}(?=[,)]|$)/g;

const exact = (text) => {
  const number = Number(text);
  return String(number) === text || Number.isNaN(number) ? number : MARK + text;
};

const markNumber = (token) => {
  if (token.startsWith('"')) return token;
  const value = exact(token);
  return typeof value === "number" ? token : JSON.stringify(value);
};

const parseNumber = (text) => (/\d/.test(text) ? exact(text) : text);

/** JSON has no numbers for NaN and the infinities, so that PostgreSQL writes them as text. */
const parseDouble = (text) => (Number.isFinite(Number(text)) ? Number(text) : text);

const parseDocument = (text) => JSON.parse(text.replace(TEXT_OR_NUMBER, markNumber));

const isoTime = (text) => text.replace(" ", "T").replace(/([-+]\d\d)$/, "$1:00");

const type = (oid, serialize, parse) => ({ to: oid, from: [oid], serialize, parse });

/** The types of PostgreSQL that the driver would read otherwise. */
export const types = {
  bigint: type(20, String, parseNumber),
  numeric: type(1700, String, parseNumber),
  double: type(701, String, parseDouble),
  json: type(114, JSON.stringify, parseDocument),
  jsonb: type(3802, JSON.stringify, parseDocument),
  timestamp: type(1114, String, isoTime),
  timestamptz: type(1184, String, isoTime),
};

/** The text of a JSON answer with all numbers as PostgreSQL wrote them. */
export const unmark = (body) => body.replace(MARKED, "$1");

const quote = (token) => (token.startsWith('"') ? token : `"${token}"`);

/** The address of a request in whose filters large integers are text, which lite does not round. */
export const withQuotedIntegers = (address) => {
  const url = new URL(address);
  const parameters = [...url.searchParams].map(([name, value]) => [name, value.replace(TEXT_OR_INTEGER, quote)]);
  url.search = new URLSearchParams(parameters);
  return url.href;
};
