import { createHash, randomBytes } from 'node:crypto';

/** Letters and digits that are hard to confuse, in order of value. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const TIME_DIGITS = 9;
const RANDOM_DIGITS = 8;

/** A new identifier for a run: "run-" and the time, then chance. Later ids sort after earlier ones. */
export function newRunId(nowMs: number): string {
  let time = '';
  for (let rest = nowMs, i = 0; i < TIME_DIGITS; i++, rest = Math.floor(rest / 32))
    time = (ALPHABET[rest % 32] ?? '0') + time;
  return `run-${time}${encode(randomBytes(RANDOM_DIGITS))}`;
}

/** The identifier of the run that a request asks for: the same request id gives the same run, on every replica. */
export function runIdOfRequest(project: string, requestId: string): string {
  const digest = createHash('sha256').update(`${project}/${requestId}`).digest();
  return `run-${encode(digest.subarray(0, TIME_DIGITS + RANDOM_DIGITS))}`;
}

const encode = (bytes: Uint8Array): string => Array.from(bytes, (byte) => ALPHABET[byte % 32]).join('');
