import type { FilePlan } from '../files/file-plan.js';
import { GGML_TYPE_IDS, type GgmlType, ggmlBytes } from './blocks.js';
import { ALIGNMENT_KEY, DEFAULT_ALIGNMENT, MAGIC, roundUp, VERSION } from './header.js';
import {
  ARRAY_ID,
  ARRAY_OF,
  BOOL_ID,
  type GgufMetadata,
  type GgufValue,
  NUMERIC_TYPES,
  STRING_ID,
} from './values.js';

/** A tensor to be written; the data follow separately. Shape slowest axis first, rows of whole blocks. */
export interface GgufTensorShape {
  readonly type: GgmlType;
  readonly shape: readonly number[];
}

/**
 * Lays out a GGUF version 3 file, so that it can be written one tensor at a time. Order as given; same input, same
 * bytes. The metadata must not set another alignment than 32.
 */
export function planGguf(metadata: GgufMetadata, tensors: ReadonlyMap<string, GgufTensorShape>): FilePlan {
  const out = new ByteList();
  out.u32(MAGIC);
  out.u32(VERSION);
  out.u64(tensors.size);
  out.u64(metadata.size);
  for (const [key, value] of metadata) {
    if (key === ALIGNMENT_KEY) throw new RangeError(`${ALIGNMENT_KEY} is always ${DEFAULT_ALIGNMENT}`);
    out.string(key);
    writeValue(out, value);
  }
  let offset = 0;
  const places: [string, number, number][] = [];
  for (const [name, { type, shape }] of tensors) {
    out.string(name);
    out.u32(shape.length);
    for (const size of [...shape].reverse()) out.u64(size);
    out.u32(GGML_TYPE_IDS[type]);
    out.u64(offset);
    const end =
      offset +
      ggmlBytes(
        type,
        shape.reduce((product, size) => product * size, 1),
      );
    places.push([name, offset, end]);
    offset = roundUp(end, DEFAULT_ALIGNMENT);
  }
  out.zeros(roundUp(out.length, DEFAULT_ALIGNMENT) - out.length);
  const head = out.toBytes();
  return {
    head,
    ranges: new Map(
      places.map(([name, begin, end]) => [name, { begin: head.length + begin, end: head.length + end }]),
    ),
    sizeBytes: head.length + offset,
  };
}

function writeValue(out: ByteList, value: GgufValue): void {
  switch (value.type) {
    case 'string':
      out.u32(STRING_ID);
      out.string(value.value);
      break;
    case 'bool':
      out.u32(BOOL_ID);
      out.bytes(Uint8Array.of(value.value ? 1 : 0));
      break;
    case 'array':
      out.u32(ARRAY_ID);
      writeArray(out, value);
      break;
    default: {
      out.u32(NUMERIC_TYPES[value.type].id);
      const isWide = value.type === 'u64' || value.type === 'i64';
      const element = isWide ? BigInt(value.value) : Number(value.value);
      out.numbers(ARRAY_OF[value.type].of(element as never));
    }
  }
}

function writeArray(out: ByteList, value: GgufValue & { readonly type: 'array' }): void {
  const id = value.of === 'string' ? STRING_ID : value.of === 'bool' ? BOOL_ID : NUMERIC_TYPES[value.of].id;
  out.u32(id);
  out.u64(value.value.length);
  if (value.of === 'string') for (const text of value.value) out.string(text);
  else if (value.of === 'bool') out.bytes(Uint8Array.from(value.value, Number));
  else out.numbers(value.value);
}

/** Bytes that are put together piece by piece. */
class ByteList {
  private readonly pieces: Uint8Array[] = [];
  length = 0;

  bytes(piece: Uint8Array): void {
    this.pieces.push(piece);
    this.length += piece.length;
  }

  numbers({ buffer, byteOffset, byteLength }: ArrayBufferView): void {
    this.bytes(new Uint8Array(buffer, byteOffset, byteLength));
  }

  u32(value: number): void {
    this.numbers(Uint32Array.of(value));
  }

  u64(value: number): void {
    this.numbers(BigUint64Array.of(BigInt(value)));
  }

  string(text: string): void {
    const utf8 = new TextEncoder().encode(text);
    this.u64(utf8.length);
    this.bytes(utf8);
  }

  zeros(count: number): void {
    this.bytes(new Uint8Array(count));
  }

  toBytes(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.pieces));
  }
}
