import { type FileSource, REPLACED } from '../files/file-source.js';
import { ModelFileMissingError } from '../files/files.errors.js';
import { TensorFile } from '../files/tensor-file.js';
import { bf16ToF32, f16ToF32, widenInPlace } from './half.js';
import {
  MAX_HEADER_BYTES,
  PREFIX_BYTES,
  parseHeader,
  type SafetensorsHeader,
  type TensorInfo,
} from './header.js';
import { InvalidSafetensorsError, TensorDtypeError, TensorSizeError } from './safetensors.errors.js';
import type { TensorReader } from './tensor-reader.js';

/** A checked safetensors file. */
export class SafetensorsReader extends TensorFile<TensorInfo> implements TensorReader {
  readonly metadata: Readonly<Record<string, string>>;

  /** Use `openSafetensors`. */
  constructor(source: FileSource, path: string, header: SafetensorsHeader, dataStart: number) {
    super(source, path, header.tensors, dataStart);
    this.metadata = header.metadata;
  }

  /**
   * The tensor as f32, row-major, in memory of its own. F16 and BF16 convert exactly, F64 rounds.
   * @throws TensorNotFoundError  NOT_FOUND
   * @throws TensorDtypeError     INVALID_ARGUMENT: an integer or 8-bit float tensor
   */
  async readF32(name: string): Promise<Float32Array> {
    const { dtype } = this.info(name);
    const bytes = await this.readBytes(name);
    switch (dtype) {
      case 'F32':
        return new Float32Array(new Uint8Array(bytes).buffer);
      case 'BF16':
        return bf16ToF32(bytes);
      case 'F16':
        return f16ToF32(bytes);
      case 'F64':
        return Float32Array.from(new Float64Array(new Uint8Array(bytes).buffer));
      default:
        throw new TensorDtypeError(this.path, name, dtype, 'F32, F16, BF16 or F64');
    }
  }

  /**
   * The tensor as f32 into memory of the caller. 16-bit types are read into the upper half of it and widened from the
   * front, so that nothing else is needed.
   * @throws TensorNotFoundError  NOT_FOUND
   * @throws TensorDtypeError     INVALID_ARGUMENT: an integer or 8-bit float tensor
   * @throws TensorSizeError      INVALID_ARGUMENT: `target` has another number of elements
   */
  async readF32Into(name: string, target: Float32Array): Promise<void> {
    const { dtype, shape } = this.info(name);
    if (target.length !== shape.reduce((product, size) => product * size, 1)) {
      throw new TensorSizeError(name, shape, target.length);
    }
    const bytes = new Uint8Array(target.buffer, target.byteOffset, target.byteLength);
    if (dtype === 'F32') return this.readBytesInto(name, bytes);
    if (dtype !== 'BF16' && dtype !== 'F16') return target.set(await this.readF32(name));
    await this.readBytesInto(name, bytes.subarray(bytes.length / 2));
    widenInPlace(target, dtype);
  }

  protected invalid(name: string, description: string): Error {
    return new InvalidSafetensorsError(this.path, [{ field: `${name}.data_offsets`, description }]);
  }
}

/**
 * Opens a safetensors file and checks all of its header before anything is read from it.
 * @throws ModelFileMissingError     NOT_FOUND
 * @throws InvalidSafetensorsError   INVALID_ARGUMENT: every problem, by tensor and property; of a file in a folder, by
 *                                   the reader too: it was replaced or written to meanwhile
 */
export async function openSafetensors(files: FileSource, path: string): Promise<SafetensorsReader> {
  const replaced = () => new InvalidSafetensorsError(path, [{ field: 'file', description: REPLACED }]);
  const source = (await files.pinned?.(path, replaced)) ?? files;
  const sizeBytes = await source.size(path);
  if (sizeBytes === null) throw new ModelFileMissingError(path, 'the model');
  const fail = (description: string): never => {
    throw new InvalidSafetensorsError(path, [{ field: 'header', description }]);
  };
  if (sizeBytes < PREFIX_BYTES)
    fail(`file has ${sizeBytes} bytes; the length of the header alone takes ${PREFIX_BYTES}`);
  const prefix = await source.read(path, 0, PREFIX_BYTES);
  const length = new DataView(prefix.buffer, prefix.byteOffset, PREFIX_BYTES).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES))
    fail(`header of ${length} bytes is larger than the limit of ${MAX_HEADER_BYTES}`);
  const dataStart = PREFIX_BYTES + Number(length);
  if (dataStart > sizeBytes)
    fail(`header of ${length} bytes does not fit in a file of ${sizeBytes} (truncated?)`);
  const result = parseHeader(await source.read(path, PREFIX_BYTES, dataStart), sizeBytes - dataStart);
  if ('violations' in result) throw new InvalidSafetensorsError(path, result.violations);
  return new SafetensorsReader(source, path, result.header, dataStart);
}
