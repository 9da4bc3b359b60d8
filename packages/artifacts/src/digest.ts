import { createHash } from 'node:crypto';
import { InvalidDigestError } from './artifact.errors.js';

const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** Whether a text is "sha256:" and 64 lower-case hexadecimal digits. */
export function isDigest(text: string): boolean {
  return DIGEST.test(text);
}

/** The digest itself. @throws InvalidDigestError INVALID_ARGUMENT */
export function parseDigest(text: string): string {
  if (!isDigest(text)) throw new InvalidDigestError(text);
  return text;
}

/** The hexadecimal digits of a digest. @throws InvalidDigestError INVALID_ARGUMENT */
export function hexOf(digest: string): string {
  return parseDigest(digest).slice('sha256:'.length);
}

/** The digest of bytes. */
export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
