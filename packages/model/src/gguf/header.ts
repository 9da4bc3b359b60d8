import type { FieldViolation } from '@agentforge/errors';
import { BLOCK_FORMATS, GGML_TYPE_IDS, type GgmlType, ggmlBytes } from './blocks.js';
import { ByteCursor, MalformedBytes } from './byte-cursor.js';
import {
  ARRAY_ID,
  ARRAY_OF,
  BOOL_ID,
  type GgufMetadata,
  type GgufValue,
  NUMERIC_TYPES,
  numericType,
  STRING_ID,
} from './values.js';

/** "GGUF", little-endian. */
export const MAGIC = 0x46554747;
export const VERSION = 3;
/** Alignment of the data when the metadata do not say. */
export const DEFAULT_ALIGNMENT = 32;
export const ALIGNMENT_KEY = 'general.alignment';

/** ggml's own limits (GGML_MAX_DIMS, GGML_MAX_NAME less its end mark). */
const MAX_DIMS = 4;
const MAX_NAME_BYTES = 63;
/** The specification's limit. */
const MAX_KEY_BYTES = 65_535;
/** Far above any chat template or licence. */
const MAX_STRING_BYTES = 1 << 24;
/** Least bytes of an entry: empty name, type and one byte; empty name, no axes, type and offset. */
const MIN_KV_BYTES = 13;
const MIN_TENSOR_BYTES = 24;

/** What the header says about one tensor. Offsets are relative to the beginning of the data. */
export interface GgufTensorInfo {
  readonly type: GgmlType;
  /** Slowest axis first, as everywhere here; a file has it the other way round. */
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** A header that passed every check. */
export interface GgufHeader {
  readonly metadata: GgufMetadata;
  readonly tensors: ReadonlyMap<string, GgufTensorInfo>;
  /** Where the data begin in the file. */
  readonly dataStart: number;
}

interface RawTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly typeId: number;
  readonly offset: number;
}

/**
 * Parses and checks the header of a GGUF version 3 file.
 * @param window     the first bytes of the file
 * @param fileBytes  size of the file
 * @returns          the header, or every violation found; fields are keys, `<tensor>.<property>` or `header`
 * @throws WindowTooSmall  the header goes on after the window
 * @see https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */
export function parseGgufHeader(
  window: Uint8Array,
  fileBytes: number,
): { readonly header: GgufHeader } | { readonly violations: readonly FieldViolation[] } {
  const violations: FieldViolation[] = [];
  try {
    const cursor = new ByteCursor(window, fileBytes);
    const { tensorCount, kvCount } = readCounts(cursor);
    const metadata = readMetadata(cursor, kvCount, violations);
    const raw = Array.from({ length: tensorCount }, () => readTensorInfo(cursor));
    const alignment = alignmentOf(metadata, violations);
    const dataStart = roundUp(cursor.position, alignment);
    const tensors = checkTensors(raw, Math.max(0, fileBytes - dataStart), alignment, violations);
    return violations.length > 0 ? { violations } : { header: { metadata, tensors, dataStart } };
  } catch (error) {
    if (!(error instanceof MalformedBytes)) throw error;
    violations.push({ field: 'header', description: error.message });
    return { violations };
  }
}

/** The next multiple of `alignment`. */
export function roundUp(offset: number, alignment: number): number {
  return Math.ceil(offset / alignment) * alignment;
}

function readCounts(cursor: ByteCursor): { tensorCount: number; kvCount: number } {
  const magic = cursor.u32('the magic number');
  if (magic !== MAGIC) throw new MalformedBytes('the file does not begin with "GGUF"');
  const version = cursor.u32('the version');
  if (version !== VERSION) {
    const why = version === VERSION << 24 ? ' (big-endian files are not supported)' : '';
    throw new MalformedBytes(`version is ${version}, must be ${VERSION}${why}`);
  }
  const tensorCount = cursor.count('the number of tensors');
  const kvCount = cursor.count('the number of metadata entries');
  const least = tensorCount * MIN_TENSOR_BYTES + kvCount * MIN_KV_BYTES;
  if (least > cursor.left) {
    throw new MalformedBytes(
      `${tensorCount} tensors and ${kvCount} metadata entries do not fit in ${cursor.left} bytes (truncated?)`,
    );
  }
  return { tensorCount, kvCount };
}

function readMetadata(cursor: ByteCursor, count: number, violations: FieldViolation[]): GgufMetadata {
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < count; i++) {
    const key = cursor.string(`key ${i}`, MAX_KEY_BYTES);
    if (key === '') throw new MalformedBytes(`key ${i} is empty`);
    const value = readValue(cursor, key);
    if (metadata.has(key)) violations.push({ field: key, description: 'key occurs twice in the metadata' });
    metadata.set(key, value);
  }
  return metadata;
}

function readValue(cursor: ByteCursor, key: string): GgufValue {
  const id = cursor.u32(`the type of ${key}`);
  if (id === ARRAY_ID) return readArray(cursor, key);
  if (id === STRING_ID) return { type: 'string', value: cursor.string(key, MAX_STRING_BYTES) };
  if (id === BOOL_ID) return { type: 'bool', value: readBools(cursor, 1, key)[0] ?? false };
  const type = numericType(id);
  if (type === undefined) throw new MalformedBytes(`${key} has the unknown type ${id}`);
  const [value = 0] = new ARRAY_OF[type](cursor.copy(1, NUMERIC_TYPES[type].bytes, key));
  return { type, value };
}

function readArray(cursor: ByteCursor, key: string): GgufValue {
  const id = cursor.u32(`the element type of ${key}`);
  const count = cursor.count(`the length of ${key}`);
  const type = numericType(id);
  if (type !== undefined) {
    return {
      type: 'array',
      of: type,
      value: new ARRAY_OF[type](cursor.copy(count, NUMERIC_TYPES[type].bytes, key)),
    };
  }
  if (id === BOOL_ID) return { type: 'array', of: 'bool', value: readBools(cursor, count, key) };
  if (id !== STRING_ID) {
    const what = id === ARRAY_ID ? 'nested arrays are not supported' : `unknown element type ${id}`;
    throw new MalformedBytes(`${key}: ${what}`);
  }
  // Every string takes 8 bytes for its length at least.
  if (count * 8 > cursor.left) {
    throw new MalformedBytes(
      `${key} has ${count} strings, but only ${cursor.left} bytes are left (truncated?)`,
    );
  }
  const value: string[] = [];
  for (let i = 0; i < count; i++) value.push(cursor.string(`${key}[${i}]`, MAX_STRING_BYTES));
  return { type: 'array', of: 'string', value };
}

function readBools(cursor: ByteCursor, count: number, key: string): boolean[] {
  return Array.from(new Uint8Array(cursor.copy(count, 1, key)), (byte) => {
    if (byte > 1) throw new MalformedBytes(`${key} has the truth value ${byte}, must be 0 or 1`);
    return byte === 1;
  });
}

function readTensorInfo(cursor: ByteCursor): RawTensor {
  const name = cursor.string('the name of a tensor', MAX_NAME_BYTES);
  const axes = cursor.u32(`the number of axes of ${name}`);
  if (axes < 1 || axes > MAX_DIMS) {
    throw new MalformedBytes(`tensor ${name} has ${axes} axes, must have 1 to ${MAX_DIMS}`);
  }
  const shape = Array.from({ length: axes }, () => cursor.count(`an axis of ${name}`)).reverse();
  const typeId = cursor.u32(`the type of ${name}`);
  return { name, shape, typeId, offset: cursor.count(`the offset of ${name}`) };
}

function alignmentOf(metadata: GgufMetadata, violations: FieldViolation[]): number {
  const entry = metadata.get(ALIGNMENT_KEY);
  if (entry === undefined) return DEFAULT_ALIGNMENT;
  const value = entry.type === 'u32' ? Number(entry.value) : 0;
  if (value >= 8 && value <= 2 ** 20 && Number.isInteger(Math.log2(value))) return value;
  violations.push({ field: ALIGNMENT_KEY, description: 'must be a u32, a power of two from 8 to 2^20' });
  return DEFAULT_ALIGNMENT;
}

const TYPE_OF_ID: ReadonlyMap<number, GgmlType> = new Map(
  (Object.keys(GGML_TYPE_IDS) as GgmlType[]).map((type) => [GGML_TYPE_IDS[type], type]),
);

/** Tensors follow each other in the order of the header, each at the next aligned byte, as ggml requires. */
function checkTensors(
  raw: readonly RawTensor[],
  dataBytes: number,
  alignment: number,
  violations: FieldViolation[],
): Map<string, GgufTensorInfo> {
  const tensors = new Map<string, GgufTensorInfo>();
  let expected: number | null = 0;
  for (const { name, shape, typeId, offset } of raw) {
    const fail = (property: string, description: string): void => {
      violations.push({ field: `${name}.${property}`, description });
    };
    if (tensors.has(name)) fail('name', 'occurs twice');
    const type = TYPE_OF_ID.get(typeId);
    const elements = countElements(shape);
    if (type === undefined) {
      fail('type', `is ggml type ${typeId}; supported are ${Object.keys(GGML_TYPE_IDS).join(', ')}`);
    }
    if (elements === null) fail('shape', `[${shape}] has no elements, or more than a file can hold`);
    const row = shape.at(-1) ?? 0;
    const perBlock = type === undefined ? 1 : BLOCK_FORMATS[type].elements;
    if (row % perBlock !== 0) fail('shape', `[${shape}]: rows of ${type} are multiples of ${perBlock}`);
    if (expected !== null && offset !== expected) {
      const how = offset < expected ? 'overlaps the tensor before it' : 'leaves a gap before it';
      fail('offset', `is ${offset} and ${how}; must be ${expected}`);
    }
    if (type === undefined || elements === null || row % perBlock !== 0) {
      expected = null; // where the next one belongs is unknown
      continue;
    }
    const end: number = offset + ggmlBytes(type, elements);
    if (end > dataBytes)
      fail('offset', `ends at ${end}, but the file has ${dataBytes} bytes of data (truncated?)`);
    tensors.set(name, { type, shape, begin: offset, end });
    expected = expected === null ? null : roundUp(end, alignment);
  }
  if (expected !== null && violations.length === 0 && dataBytes > expected) {
    violations.push({
      field: 'header',
      description: `tensors end at byte ${expected} of the data, but there are ${dataBytes}`,
    });
  }
  return tensors;
}

function countElements(shape: readonly number[]): number | null {
  let elements = 1;
  for (const size of shape) {
    elements *= size;
    if (elements < 1 || elements > Number.MAX_SAFE_INTEGER / 8) return null;
  }
  return elements;
}
