import { createHash } from 'node:crypto';

/** Where a page begins: everything before it, in the order of the list, was seen. */
export interface PagePosition {
  readonly sequence: bigint;
  readonly offset: number;
}

const VERSION = 1;

/**
 * A continuation for a list. Opaque to clients, and only good for the same query.
 * @param query  everything that selects and orders the list, page size excluded
 */
export function encodePageToken(query: readonly string[], position: PagePosition): string {
  const { sequence, offset } = position;
  const content = [VERSION, digestOf(query), String(sequence), offset];
  return Buffer.from(JSON.stringify(content)).toString('base64url');
}

/** The position in a token, or undefined when it is malformed or belongs to another query. */
export function decodePageToken(query: readonly string[], token: string): PagePosition | undefined {
  try {
    const content: unknown = JSON.parse(Buffer.from(token, 'base64url').toString('utf8'));
    if (!Array.isArray(content) || content.length !== 4) return undefined;
    const [version, digest, sequence, offset] = content as unknown[];
    if (version !== VERSION || digest !== digestOf(query)) return undefined;
    if (typeof sequence !== 'string' || !/^\d{1,19}$/.test(sequence)) return undefined;
    if (typeof offset !== 'number' || !Number.isInteger(offset) || offset < 0) return undefined;
    return { sequence: BigInt(sequence), offset };
  } catch {
    return undefined;
  }
}

const digestOf = (query: readonly string[]): string =>
  createHash('sha256').update(JSON.stringify(query)).digest('base64url').slice(0, 16);
