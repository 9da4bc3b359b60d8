/**
 * bf16 to f32: the upper half of an f32, so the conversion is exact.
 * @param bytes  little-endian bf16 values
 */
export function bf16ToF32(bytes: Uint8Array): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const bits = new Uint32Array(bytes.length / 2);
  for (let i = 0; i < bits.length; i++) bits[i] = view.getUint16(2 * i, true) << 16;
  return new Float32Array(bits.buffer);
}

/** The number that IEEE 754 binary16 bits stand for, exact, subnormals and infinities included. */
export function f16Value(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/**
 * IEEE 754 binary16 to f32, exact.
 * @param bytes  little-endian f16 values
 */
export function f16ToF32(bytes: Uint8Array): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values = new Float32Array(bytes.length / 2);
  for (let i = 0; i < values.length; i++) values[i] = f16Value(view.getUint16(2 * i, true));
  return values;
}

/** Every f16 value as the bits of an f32, by its own bits. */
let f16Widened: Uint32Array | undefined;

function f16Table(): Uint32Array {
  if (f16Widened) return f16Widened;
  const values = Float32Array.from({ length: 0x1_0000 }, (_, half) => f16Value(half));
  f16Widened = new Uint32Array(values.buffer);
  return f16Widened;
}

/**
 * Widens 16-bit values that fill the upper half of `target`'s memory to f32 values that fill all of it: value i is
 * written over values 2i + 1 − n and lower, which were read before.
 */
export function widenInPlace(target: Float32Array, dtype: 'BF16' | 'F16'): void {
  const { buffer, byteOffset, length } = target;
  const halves = new Uint16Array(buffer, byteOffset + 2 * length, length);
  const words = new Uint32Array(buffer, byteOffset, length);
  if (dtype === 'BF16') {
    for (let i = 0; i < length; i++) words[i] = (halves[i] as number) << 16;
    return;
  }
  const table = f16Table();
  for (let i = 0; i < length; i++) words[i] = table[halves[i] as number] as number;
}

const word = new Uint32Array(1);
const wordAsFloat = new Float32Array(word.buffer);

/** The upper bits of `value` after `shift` lower ones were rounded away, ties to the even neighbour. */
function roundOff(value: number, shift: number): number {
  const kept = value >>> shift;
  const rest = value & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return rest > half || (rest === half && (kept & 1) === 1) ? kept + 1 : kept;
}

/** IEEE 754 binary16 bits of a number that is first rounded to f32; ties to even, beyond 65504 to infinity. */
export function f16Bits(value: number): number {
  wordAsFloat[0] = value;
  const bits = word[0] ?? 0;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fff_ffff;
  if (magnitude > 0x7f80_0000) return sign | 0x7e00;
  if (magnitude >= 0x477f_f000) return sign | 0x7c00;
  if (magnitude >= 0x3880_0000) return sign | roundOff(magnitude - 0x3800_0000, 13);
  const exponent = magnitude >>> 23;
  if (exponent < 102) return sign; // below half of the smallest subnormal, 2^-24
  return sign | roundOff((magnitude & 0x7f_ffff) | 0x80_0000, 126 - exponent);
}

/** bf16 bits of a number that is first rounded to f32; ties to even. */
export function bf16Bits(value: number): number {
  wordAsFloat[0] = value;
  const bits = word[0] ?? 0;
  if ((bits & 0x7fff_ffff) > 0x7f80_0000) return (bits >>> 16) | 0x40;
  return roundOff(bits, 16) & 0xffff;
}

/** Little-endian bf16 values of numbers, ties to even. */
export function toBf16Bytes(values: Float32Array): Uint8Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(values.length);
  for (let i = 0; i < words.length; i++) {
    const bits = words[i] as number;
    const isNan = (bits & 0x7fff_ffff) > 0x7f80_0000;
    halves[i] = isNan ? (bits >>> 16) | 0x40 : (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
  }
  return new Uint8Array(halves.buffer);
}

/** Little-endian 16-bit values of numbers, by the function that gives the bits of one. */
export function toHalfBytes(values: Float32Array, bitsOf: (value: number) => number): Uint8Array {
  const bytes = new Uint8Array(2 * values.length);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < values.length; i++) view.setUint16(2 * i, bitsOf(values[i] ?? 0), true);
  return bytes;
}
