/** The sixteen canonical error codes of gRPC, and the number each has on the wire. */
export const CANONICAL_CODES = {
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

/** Name of a canonical error code. */
export type CanonicalCode = keyof typeof CANONICAL_CODES;

/** The gRPC status number of a code, 1 to 16. */
export function grpcStatusOf(code: CanonicalCode): number {
  return CANONICAL_CODES[code];
}
