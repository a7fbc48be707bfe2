// Errors of PostgreSQL with the HTTP status that PostgREST gives them, where @supabase/lite would answer 500.

// Lite reports these itself, with the status and the words of PostgREST.
const KNOWN = /^(42(?!P01)|22|21|55|53|PT|PGRST|2350[235]$|25006$)/;
const UNREACHABLE = /^(CONNECT|ECONN|ENOTFOUND|ETIMEDOUT|CONNECTION)/;
const SQLSTATE = /^[0-9A-Z]{5}$/;

// The longest prefix counts.
const STATUS = new Map([
  ["P0001", 400],
  ["42P01", 404],
  ["08", 503],
  ...["0L", "0P", "28"].map((prefix) => [prefix, 403]),
  ...["09", "25", "2D", "38", "39", "3B", "40", "54", "57", "58", "F0", "HV", "P0", "XX"].map((prefix) => [prefix, 500]),
]);

const statusOf = (code) => STATUS.get(code) ?? STATUS.get(code.slice(0, 2)) ?? 400;

/** The error as lite understands it: it takes status and body from one whose code is PGRST. */
const answer = (status, body) =>
  Object.assign(new Error(JSON.stringify(body)), { code: "PGRST", detail: JSON.stringify({ status, headers: {} }) });

/** What is to be answered for an error of the database driver. */
export const translated = (error) => {
  const code = error?.code;
  if (typeof code !== "string") return error;
  if (UNREACHABLE.test(code)) {
    const message = "Database connection error. Retrying the connection.";
    return answer(503, { code: "PGRST000", message, details: error.message, hint: null });
  }
  if (KNOWN.test(code) || !SQLSTATE.test(code)) return error;
  const { message, detail = null, hint = null } = error;
  return answer(statusOf(code), { code, message, details: detail, hint });
};
