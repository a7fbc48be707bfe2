/** What Cosmos DB answers instead of a result. */
export class Refused extends Error {
  constructor(status, code, message, subStatus = 0) {
    super(message);
    this.status = status;
    this.code = code;
    this.subStatus = subStatus;
  }
}

export const badRequest = (message) => new Refused(400, "BadRequest", message);
export const notFound = () => new Refused(404, "NotFound", "Entity with the specified id does not exist in the system.");
export const noContainer = () => new Refused(404, "NotFound", "Owner resource does not exist.", 1003);
export const conflict = () => new Refused(409, "Conflict", "Entity with the specified id already exists in the system.");
export const unmatched = () =>
  new Refused(412, "PreconditionFailed", "One of the specified pre-condition is not met.");
export const tooLarge = () => new Refused(413, "RequestEntityTooLarge", "Request size is too large.");
