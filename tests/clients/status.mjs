// Classes of errors as adapters.mjs wants them, for an SDK that has one class for all: told apart by the status.
const STATUS = {
  AuthenticationError: s => s === 401,
  PermissionDeniedError: s => s === 403,
  BadRequestError: s => s === 400,
  NotFoundError: s => s === 404,
  ConflictError: s => s === 409,
  UnprocessableEntityError: s => s === 422,
  RateLimitError: s => s === 429,
  InternalServerError: s => s >= 500,
};

export function errorsByStatus(isOurs, statusOf) {
  const fitting = fits => ({ [Symbol.hasInstance]: e => isOurs(e) && fits(statusOf(e)) });
  return { ...Object.fromEntries(Object.entries(STATUS).map(([name, fits]) => [name, fitting(fits)])), APIError: fitting(() => true) };
}
