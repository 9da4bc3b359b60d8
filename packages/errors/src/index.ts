export { AppError, type AppErrorOptions, type FieldViolation, isAppError } from './app-error.js';
export { CANONICAL_CODES, type CanonicalCode, grpcStatusOf } from './canonical-code.js';
