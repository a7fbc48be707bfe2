// Failures that are answered with an HTTP status and `{code, message}`. Failures of a function are no such errors: they
// are outcomes, answered with status 200.

export class HttpError extends Error {
  /** @param {number} [retryAfter] seconds for the `Retry-After` header */
  constructor(status, code, message, { retryAfter, cause } = {}) {
    super(message, { cause });
    Object.assign(this, { status, code, retryAfter });
  }
}

export const badRequest = (code, message) => new HttpError(400, code, message);

export const unauthenticated = (message, code = "InvalidAuthHeader", options = {}) =>
  new HttpError(401, code, message, options);

export const forbidden = () =>
  new HttpError(403, "BadDeployKey", "The provided deploy key was invalid for this instance");

export const conflict = (path) =>
  new HttpError(
    503,
    "OptimisticConcurrencyControlFailure",
    `Documents read or written by "${path}" changed while it was being run and on every subsequent retry.`,
  );
