import { AppError } from '@agentforge/errors';
import { create, type DescMessage, fromBinary, type Message, toBinary } from '@bufbuild/protobuf';

/**
 * An answer that is encoded already. A handler whose answer goes to many callers encodes it once; nothing checks that
 * the bytes are a message of the method's output.
 */
export class EncodedReply {
  constructor(readonly bytes: Uint8Array) {}
}

/** Encodes a message, or the fields of one. grpc-js asks for a Buffer; it shares the memory. */
export function encode(schema: DescMessage, reply: unknown): Buffer {
  const bytes =
    reply instanceof EncodedReply ? reply.bytes : toBinary(schema, create(schema, reply as Message));
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * Decodes a message that came from outside.
 * @throws AppError INVALID_ARGUMENT  when the bytes are not a message of this type
 */
export function decode(schema: DescMessage, bytes: Uint8Array): Message {
  try {
    return fromBinary(schema, bytes);
  } catch (error) {
    throw new AppError('INVALID_ARGUMENT', `the request is not a valid ${schema.typeName}`, {
      reason: 'MALFORMED_MESSAGE',
      cause: error,
    });
  }
}
