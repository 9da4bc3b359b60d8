import type { FilePlan } from '../files/file-plan.js';
import { writePlanned } from '../files/write-planned.js';
import { f16Bits, toBf16Bytes, toHalfBytes } from './half.js';
import { DTYPE_BYTES, METADATA_KEY, PREFIX_BYTES, type SafetensorsDtype } from './header.js';
import { TensorSizeError } from './safetensors.errors.js';

/** A tensor to be written: its type and shape; the data follow separately. */
export interface TensorShape {
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
}

/** Where everything of a safetensors file will be. */
export type SafetensorsPlan = FilePlan;

/**
 * Lays out a file so that it can be written one tensor at a time. Deterministic: widest type first, then by
 * name, as the reference implementation does; the data start at a multiple of 8.
 * @param metadata  default `{format: 'pt'}`, which `transformers` requires
 */
export function planSafetensors(
  tensors: ReadonlyMap<string, TensorShape>,
  metadata: Readonly<Record<string, string>> = { format: 'pt' },
): SafetensorsPlan {
  const names = [...tensors].sort(
    ([nameA, a], [nameB, b]) => DTYPE_BYTES[b.dtype] - DTYPE_BYTES[a.dtype] || (nameA < nameB ? -1 : 1),
  );
  const sortedMetadata = Object.fromEntries(Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1)));
  const entries: [string, unknown][] = [[METADATA_KEY, sortedMetadata]];
  let offset = 0;
  const relative: [string, number, number][] = [];
  for (const [name, { dtype, shape }] of names) {
    const end = offset + shape.reduce((product, size) => product * size, 1) * DTYPE_BYTES[dtype];
    entries.push([name, { dtype, shape, data_offsets: [offset, end] }]);
    relative.push([name, offset, end]);
    offset = end;
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const headerBytes = Math.ceil(json.length / 8) * 8;
  const head = new Uint8Array(PREFIX_BYTES + headerBytes).fill(0x20);
  new DataView(head.buffer).setBigUint64(0, BigInt(headerBytes), true);
  head.set(json, PREFIX_BYTES);
  const ranges = new Map(
    relative.map(([name, begin, end]) => [name, { begin: head.length + begin, end: head.length + end }]),
  );
  return { head, ranges, sizeBytes: head.length + offset };
}

/**
 * A whole safetensors file of f32 tensors in memory. Same tensors, same bytes, whatever their order.
 * @param tensors  data row-major; `data.length` is the product of the shape
 * @throws TensorSizeError  INVALID_ARGUMENT: data and shape disagree
 */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>,
  metadata?: Readonly<Record<string, string>>,
): Uint8Array {
  const shapes = new Map([...tensors].map(([name, { shape }]) => [name, { dtype: 'F32' as const, shape }]));
  const plan = planSafetensors(shapes, metadata);
  for (const [name, { shape, data }] of tensors) {
    const elements = shape.reduce((product, size) => product * size, 1);
    if (data.length !== elements) throw new TensorSizeError(name, shape, data.length);
  }
  const file = new Uint8Array(plan.sizeBytes);
  file.set(plan.head);
  for (const [name, { data }] of tensors) {
    const begin = plan.ranges.get(name)?.begin ?? 0;
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), begin);
  }
  return file;
}

/** Types that weights are written in. */
export type WeightsDtype = 'F32' | 'F16' | 'BF16';

/** Bytes of values in a type, rounded to the nearest, ties to even. */
export function encodeValues(values: Float32Array, dtype: WeightsDtype): Uint8Array {
  if (dtype === 'F16') return toHalfBytes(values, f16Bits);
  if (dtype === 'BF16') return toBf16Bytes(values);
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/**
 * Writes a safetensors file one tensor at a time; memory holds one. The file appears complete or not at all.
 * Same tensors, same bytes as `encodeSafetensors` gives.
 * @param read  values of a tensor, row-major; asked for once each, in the order of the file
 * @throws TensorSizeError  INVALID_ARGUMENT: data and shape disagree
 */
export async function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, TensorShape & { readonly dtype: WeightsDtype }>,
  read: (name: string) => Promise<Float32Array> | Float32Array,
  metadata?: Readonly<Record<string, string>>,
): Promise<void> {
  await writePlanned(path, planSafetensors(tensors, metadata), async (name) => {
    const { dtype, shape } = tensors.get(name) ?? { dtype: 'F32', shape: [] };
    const values = await read(name);
    const elements = shape.reduce((product, size) => product * size, 1);
    if (values.length !== elements) throw new TensorSizeError(name, shape, values.length);
    return encodeValues(values, dtype);
  });
}
