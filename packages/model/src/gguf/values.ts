/** Numeric types of GGUF metadata by their number in a file, with their width in bytes. */
export const NUMERIC_TYPES = {
  u8: { id: 0, bytes: 1 },
  i8: { id: 1, bytes: 1 },
  u16: { id: 2, bytes: 2 },
  i16: { id: 3, bytes: 2 },
  u32: { id: 4, bytes: 4 },
  i32: { id: 5, bytes: 4 },
  f32: { id: 6, bytes: 4 },
  u64: { id: 10, bytes: 8 },
  i64: { id: 11, bytes: 8 },
  f64: { id: 12, bytes: 8 },
} as const;

export const BOOL_ID = 7;
export const STRING_ID = 8;
export const ARRAY_ID = 9;

/** Name of a numeric type. */
export type NumericType = keyof typeof NUMERIC_TYPES;

/** One metadata value. 64-bit integers are bigints; numbers of an array are in a typed array. */
export type GgufValue =
  | { readonly type: NumericType; readonly value: number | bigint }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'array'; readonly of: 'string'; readonly value: readonly string[] }
  | { readonly type: 'array'; readonly of: 'bool'; readonly value: readonly boolean[] }
  | { readonly type: 'array'; readonly of: NumericType; readonly value: NumericArray };

/** Numbers of a metadata array. */
export type NumericArray =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array
  | BigUint64Array
  | BigInt64Array;

/** Metadata in the order of the file. */
export type GgufMetadata = ReadonlyMap<string, GgufValue>;

/** The array class of a numeric type. */
export const ARRAY_OF = {
  u8: Uint8Array,
  i8: Int8Array,
  u16: Uint16Array,
  i16: Int16Array,
  u32: Uint32Array,
  i32: Int32Array,
  f32: Float32Array,
  f64: Float64Array,
  u64: BigUint64Array,
  i64: BigInt64Array,
} as const;

const nameById = new Map<number, NumericType>(
  (Object.keys(NUMERIC_TYPES) as NumericType[]).map((name) => [NUMERIC_TYPES[name].id, name]),
);

/** The numeric type with a number, if there is one. */
export function numericType(id: number): NumericType | undefined {
  return nameById.get(id);
}
