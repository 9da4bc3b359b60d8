import type { FieldViolation } from '@agentforge/errors';
import { duplicateKeys } from './json-duplicates.js';

/** Bytes per element of each supported dtype, by its name in the file. */
export const DTYPE_BYTES = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
} as const;

/** Name of an element type in a safetensors header. */
export type SafetensorsDtype = keyof typeof DTYPE_BYTES;

/** What the header says about one tensor. Offsets are relative to the end of the header. */
export interface TensorInfo {
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** A header that passed every check. */
export interface SafetensorsHeader {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Length of the little-endian u64 before the header. */
export const PREFIX_BYTES = 8;
/** Largest header that the reference implementation accepts; more is an attack or garbage. */
export const MAX_HEADER_BYTES = 100_000_000;
/** Key of the free-form string map. */
export const METADATA_KEY = '__metadata__';

/**
 * Parses and checks a header.
 * @param json       the header's bytes, without the length prefix
 * @param dataBytes  size of what follows the header
 * @returns          the header, or every violation found; fields are `<tensor>.<property>` or `header`
 * @see https://huggingface.co/docs/safetensors: offsets contiguous from 0, no holes, no overlap, no duplicate keys
 */
export function parseHeader(
  json: Uint8Array,
  dataBytes: number,
): { readonly header: SafetensorsHeader } | { readonly violations: readonly FieldViolation[] } {
  const violations: FieldViolation[] = [];
  const value = decodeJson(json, violations);
  if (value === null) return { violations };
  const tensors = new Map<string, TensorInfo>();
  let metadata: Record<string, string> = {};
  for (const [name, entry] of Object.entries(value)) {
    if (name === METADATA_KEY) {
      metadata = checkMetadata(entry, violations);
      continue;
    }
    const info = checkTensor(name, entry, dataBytes, violations);
    if (info !== null) tensors.set(name, info);
  }
  if (violations.length === 0) checkLayout(tensors, dataBytes, violations);
  return violations.length > 0 ? { violations } : { header: { tensors, metadata } };
}

function decodeJson(json: Uint8Array, violations: FieldViolation[]): object | null {
  const fail = (description: string): null => {
    violations.push({ field: 'header', description });
    return null;
  };
  // The reference implementation requires the brace at once: leading space could hide polyglot files.
  if (json[0] !== 0x7b) return fail('does not start with "{"');
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(json);
  } catch {
    return fail('is not UTF-8');
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return fail(`is not JSON (${String(error)})`);
  }
  for (const key of duplicateKeys(text))
    violations.push({ field: key, description: 'key occurs twice in the header' });
  return value as object;
}

function checkMetadata(entry: unknown, violations: FieldViolation[]): Record<string, string> {
  const isStringMap = isRecord(entry) && Object.values(entry).every((value) => typeof value === 'string');
  if (isStringMap) return entry as Record<string, string>;
  violations.push({ field: METADATA_KEY, description: 'must map strings to strings' });
  return {};
}

function checkTensor(
  name: string,
  entry: unknown,
  dataBytes: number,
  violations: FieldViolation[],
): TensorInfo | null {
  const before = violations.length;
  const fail = (property: string, description: string): void => {
    violations.push({ field: `${name}.${property}`, description });
  };
  if (!isRecord(entry)) {
    violations.push({ field: name, description: 'must be an object with dtype, shape and data_offsets' });
    return null;
  }
  for (const key of Object.keys(entry)) {
    if (!['dtype', 'shape', 'data_offsets'].includes(key)) fail(key, 'is not a known property');
  }
  const { dtype, shape, data_offsets: offsets } = entry;
  const isDtype = typeof dtype === 'string' && Object.hasOwn(DTYPE_BYTES, dtype);
  if (!isDtype) {
    fail('dtype', `is ${JSON.stringify(dtype)}; must be one of ${Object.keys(DTYPE_BYTES).join(', ')}`);
  }
  const elements = countElements(shape);
  if (elements === null) fail('shape', 'must be a list of whole numbers ≥ 0 whose product is below 2^53');
  const range = offsetRange(offsets);
  if (range === null) fail('data_offsets', 'must be [begin, end] with 0 ≤ begin ≤ end');
  else if (range.end > dataBytes) {
    fail('data_offsets', `ends at ${range.end}, but the file has ${dataBytes} bytes of data (truncated?)`);
  }
  if (isDtype && elements !== null && range !== null) {
    const wanted = elements * DTYPE_BYTES[dtype as SafetensorsDtype];
    if (range.end - range.begin !== wanted) {
      fail(
        'data_offsets',
        `spans ${range.end - range.begin} bytes, but dtype ${dtype} and shape [${shape}] need ${wanted}`,
      );
    }
  }
  if (violations.length > before || range === null) return null;
  return { dtype: dtype as SafetensorsDtype, shape: shape as number[], ...range };
}

function countElements(shape: unknown): number | null {
  if (!Array.isArray(shape)) return null;
  let elements = 1;
  for (const size of shape as unknown[]) {
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) return null;
    elements *= size;
    // 8 bytes an element is the widest type, so the byte count stays exact too.
    if (elements > Number.MAX_SAFE_INTEGER / 8) return null;
  }
  return elements;
}

function offsetRange(offsets: unknown): { begin: number; end: number } | null {
  if (!Array.isArray(offsets) || offsets.length !== 2) return null;
  const [begin, end] = offsets as unknown[];
  if (typeof begin !== 'number' || typeof end !== 'number') return null;
  if (!Number.isSafeInteger(begin) || !Number.isSafeInteger(end) || begin < 0 || begin > end) return null;
  return { begin, end };
}

/** Tensors must fill the data exactly: a gap can hide data, an overlap aliases two tensors. */
function checkLayout(
  tensors: ReadonlyMap<string, TensorInfo>,
  dataBytes: number,
  violations: FieldViolation[],
): void {
  const ordered = [...tensors].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  let expected = 0;
  for (const [name, { begin, end }] of ordered) {
    if (begin !== expected) {
      const what =
        begin < expected ? 'overlaps the tensor before it' : 'leaves a gap after the tensor before it';
      violations.push({
        field: `${name}.data_offsets`,
        description: `begins at ${begin} and ${what}, which ends at ${expected}`,
      });
    }
    expected = Math.max(expected, end);
  }
  if (expected !== dataBytes) {
    violations.push({
      field: 'header',
      description: `tensors end at byte ${expected}, but the file has ${dataBytes} bytes of data`,
    });
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
