import { JetStreamApiError } from '@nats-io/jetstream';

/** Error codes of the JetStream API: nats-server, server/errors.json. */
export const API_CODES = {
  wrongLastSequence: 10071,
  streamNotFound: 10059,
  consumerNotFound: 10014,
  consumerExists: 10148,
  streamNameInUse: 10058,
  streamSubjectsOverlap: 10065,
  messageNotFound: 10037,
  sequenceNotFound: 10043,
  deleteFailed: 10057,
  insufficientResources: 10023,
  storageExceeded: 10047,
  storeFailed: 10077,
} as const;

/** The error code of the JetStream API, when the server refused a request. */
export function apiCodeOf(error: unknown): number | undefined {
  return error instanceof JetStreamApiError ? error.code : undefined;
}

/** What a server says when a limit of a stream is reached: "maximum bytes exceeded", "maximum messages exceeded". */
const LIMIT_REACHED = /maximum \w+ exceeded/;

/** Whether the server says that it has no room left. */
export function isOutOfRoom(error: unknown): boolean {
  if (!(error instanceof JetStreamApiError)) return false;
  const { code } = error;
  return (
    code === API_CODES.insufficientResources ||
    code === API_CODES.storageExceeded ||
    (code === API_CODES.storeFailed && LIMIT_REACHED.test(error.message))
  );
}

/** Errors of the client that say nothing about the request itself: no answer, no server, no JetStream yet. */
const TRANSIENT_ERRORS = new Set([
  'TimeoutError',
  'RequestError',
  'NoResponders',
  'JetStreamNotEnabled',
  'ConnectionError',
  'ProtocolError',
]);

/**
 * Whether a request may succeed when it is repeated: nobody answered, the server is not ready (status 503), or it
 * has no room now. Other refusals, status 500 among them, are about the request.
 */
export function isTransient(error: unknown): boolean {
  if (error instanceof JetStreamApiError) return error.status === 503 || isOutOfRoom(error);
  return error instanceof Error && TRANSIENT_ERRORS.has(error.name || error.constructor.name);
}

/**
 * Whether a stream could not be created because another process may be creating the same one at this moment: the
 * server holds name and subjects before the stream can be found.
 */
export function isLostRace(error: unknown): boolean {
  const code = apiCodeOf(error);
  return code === API_CODES.streamNameInUse || code === API_CODES.streamSubjectsOverlap;
}

/** Whether a request named a message that is deleted or never was. */
export function isMessageGone(error: unknown): boolean {
  const code = apiCodeOf(error);
  return (
    code === API_CODES.messageNotFound ||
    code === API_CODES.sequenceNotFound ||
    code === API_CODES.deleteFailed
  );
}
