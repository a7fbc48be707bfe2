/** One piece of a `like` pattern: a literal character, any character, or any text. */
type Piece = { character: string } | "one" | "any";

/**
 * A test for texts that match a whole `like` pattern: `%` matches any text, `_` one character, and a backslash makes
 * the next character literal.
 */
export function matcher(pattern: string): (text: string) => boolean {
  const pieces = piecesOf(pattern);
  return (text) => matches(Array.from(text), pieces);
}

/** The text with the letters A to Z in lower case. */
export function foldAscii(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

function piecesOf(pattern: string): Piece[] {
  const pieces: Piece[] = [];
  let escaped = false;
  for (const character of pattern) {
    if (!escaped && character === "\\") {
      escaped = true;
      continue;
    }
    pieces.push(escaped ? { character } : pieceOf(character));
    escaped = false;
  }
  return pieces;
}

function pieceOf(character: string): Piece {
  return character === "%" ? "any" : character === "_" ? "one" : { character };
}

/** Backtracks only to the last `%`, which is sufficient, so that matching takes quadratic time at most. */
function matches(text: string[], pieces: Piece[]): boolean {
  let [position, piece, lastAny, resumeAt] = [0, 0, -1, 0];
  while (position < text.length) {
    if (pieces[piece] === "any") {
      [lastAny, resumeAt] = [piece++, position];
    } else if (piece < pieces.length && matchesOne(text[position], pieces[piece])) {
      position++;
      piece++;
    } else if (lastAny >= 0) {
      position = ++resumeAt;
      piece = lastAny + 1;
    } else {
      return false;
    }
  }
  return pieces.slice(piece).every((rest) => rest === "any");
}

function matchesOne(character: string, piece: Piece): boolean {
  return piece === "one" || (piece !== "any" && piece.character === character);
}
