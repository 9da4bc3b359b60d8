import { randomUUID } from 'node:crypto';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  PreconditionFailureSchema,
  RetryInfoSchema,
  StatusSchema,
} from '@agentforge/contracts';
import {
  AppError,
  type AppErrorOptions,
  CANONICAL_CODES,
  type CanonicalCode,
  grpcStatusOf,
} from '@agentforge/errors';
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import { type Any, anyPack, anyUnpack, DurationSchema } from '@bufbuild/protobuf/wkt';
import { Metadata, type ServiceError } from '@grpc/grpc-js';
import { RpcException } from '@nestjs/microservices';

/** Header that carries the serialized `google.rpc.Status`. */
export const STATUS_DETAILS_HEADER = 'grpc-status-details-bin';
/** `google.rpc.ErrorInfo.domain` of our reasons. */
export const ERROR_DOMAIN = 'agentforge';

/** Most characters of a message on the wire. */
const MAX_MESSAGE_LENGTH = 1024;
/** Bytes left for violations: gRPC implementations refuse headers beyond 8 KiB, and base64 adds a third. */
const MAX_VIOLATION_BYTES = 4096;

/**
 * What grpc-js says, as INTERNAL, of every call of a connection that the server ended because of an error. nghttp2 ends
 * one over which a client cancels more than 1,000 calls at once and 33 in each second after that, as it does with every
 * deadline that passes: a connection that was lost.
 */
const LOST_CONNECTION = /RST_STREAM with code 2 triggered by internal client error: Session closed/;

/** An error as it goes on the wire, and what the log needs of it. */
export interface WireStatus {
  readonly code: CanonicalCode;
  readonly number: number;
  /** Message for the caller. */
  readonly message: string;
  readonly metadata: Metadata;
  /** Id that both the caller and the log get; only for hidden errors. */
  readonly errorId: string | undefined;
}

/** Any thrown value as an AppError, also what the framework throws. */
export function appErrorOf(thrown: unknown): AppError {
  if (thrown instanceof RpcException) {
    const detail = thrown.getError();
    if (detail === 'Forbidden resource') {
      return new AppError('PERMISSION_DENIED', 'the caller may not do this', { cause: thrown });
    }
  }
  return AppError.from(thrown);
}

/**
 * Maps any thrown value to a status. INTERNAL and UNKNOWN hide their message and get an error id;
 * the details of every other error are kept.
 * @param trailers  extended by the details and returned in `metadata`
 */
export function toWireStatus(thrown: unknown, trailers = new Metadata()): WireStatus {
  const error = appErrorOf(thrown);
  const isHidden = error.code === 'INTERNAL' || error.code === 'UNKNOWN';
  const errorId = isHidden ? randomUUID() : undefined;
  const code = isHidden ? 'INTERNAL' : error.code;
  const message = errorId ? `internal error ${errorId}` : error.message.slice(0, MAX_MESSAGE_LENGTH);
  const details = errorId
    ? [pack(ErrorInfoSchema, { reason: 'INTERNAL', domain: ERROR_DOMAIN, metadata: { errorId } })]
    : detailsOf(error);
  if (details.length > 0) {
    const status = create(StatusSchema, { code: grpcStatusOf(code), message, details });
    trailers.set(STATUS_DETAILS_HEADER, Buffer.from(toBinary(StatusSchema, status)));
  }
  return { code, number: grpcStatusOf(code), message, metadata: trailers, errorId };
}

/** Maps what a gRPC client got back to an AppError with all its details. */
export function fromServiceError(error: ServiceError): AppError {
  const code = LOST_CONNECTION.test(error.details)
    ? 'UNAVAILABLE'
    : (CODE_NAMES.get(error.code) ?? 'UNKNOWN');
  const options: Writable<AppErrorOptions> = { cause: error };
  const [packed] = error.metadata?.get(STATUS_DETAILS_HEADER) ?? [];
  if (packed instanceof Buffer) {
    for (const detail of detailsIn(packed)) readDetail(detail, options);
  }
  return new AppError(code, error.details || error.message, options);
}

/** Name of a gRPC status number; undefined for OK and unknown numbers. */
export function codeNameOf(number: number): CanonicalCode | undefined {
  return CODE_NAMES.get(number);
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

const CODE_NAMES = new Map<number, CanonicalCode>(
  Object.entries(CANONICAL_CODES).map(([name, number]) => [number, name as CanonicalCode]),
);

function detailsOf(error: AppError): Any[] {
  const { reason, metadata, fieldViolations, retryAfterMs, code } = error;
  const details: Any[] = [];
  if (reason !== undefined || Object.keys(metadata).length > 0) {
    details.push(
      pack(ErrorInfoSchema, { reason: reason ?? code, domain: ERROR_DOMAIN, metadata: { ...metadata } }),
    );
  }
  if (fieldViolations.length > 0) {
    const kept = withinBudget(fieldViolations);
    details.push(
      code === 'FAILED_PRECONDITION'
        ? pack(PreconditionFailureSchema, {
            violations: kept.map(({ field, description }) => ({
              type: reason ?? code,
              subject: field,
              description,
            })),
          })
        : pack(BadRequestSchema, {
            fieldViolations: kept.map((violation) => ({ ...violation, reason: reason ?? '' })),
          }),
    );
  }
  if (retryAfterMs !== undefined) {
    details.push(pack(RetryInfoSchema, { retryDelay: durationOf(retryAfterMs) }));
  }
  return details;
}

function withinBudget(violations: AppError['fieldViolations']): AppError['fieldViolations'] {
  let bytes = 0;
  const kept: { field: string; description: string }[] = [];
  for (const { field, description } of violations) {
    bytes += Buffer.byteLength(field) + Buffer.byteLength(description) + 8;
    if (bytes > MAX_VIOLATION_BYTES) {
      kept.push({ field: '', description: `and ${violations.length - kept.length} more` });
      break;
    }
    kept.push({ field, description });
  }
  return kept;
}

function durationOf(ms: number): MessageInitShape<typeof DurationSchema> {
  return { seconds: BigInt(Math.trunc(ms / 1000)), nanos: Math.round((ms % 1000) * 1e6) };
}

function pack<Schema extends DescMessage>(schema: Schema, init: MessageInitShape<Schema>): Any {
  return anyPack(schema, create(schema, init) as MessageShape<Schema>);
}

function detailsIn(packed: Buffer): readonly Any[] {
  try {
    return fromBinary(StatusSchema, packed).details;
  } catch {
    return []; // another system's header; code and message still hold
  }
}

function readDetail(detail: Any, options: Writable<AppErrorOptions>): void {
  const info = anyUnpack(detail, ErrorInfoSchema);
  if (info) {
    options.reason = info.reason;
    options.metadata = info.metadata;
  }
  const badRequest = anyUnpack(detail, BadRequestSchema);
  if (badRequest) {
    options.fieldViolations = badRequest.fieldViolations.map(({ field, description }) => ({
      field,
      description,
    }));
  }
  const precondition = anyUnpack(detail, PreconditionFailureSchema);
  if (precondition) {
    options.fieldViolations = precondition.violations.map(({ subject, description }) => ({
      field: subject,
      description,
    }));
  }
  const delay = anyUnpack(detail, RetryInfoSchema)?.retryDelay;
  if (delay) options.retryAfterMs = Number(delay.seconds) * 1000 + delay.nanos / 1e6;
}
