import type { FileSource } from '../files/file-source.js';
import { ModelFileMissingError } from '../files/files.errors.js';
import { bf16ToF32, f16ToF32 } from './half.js';
import {
  MAX_HEADER_BYTES,
  PREFIX_BYTES,
  parseHeader,
  type SafetensorsHeader,
  type TensorInfo,
} from './header.js';
import { InvalidSafetensorsError, TensorDtypeError, TensorNotFoundError } from './safetensors.errors.js';
import type { TensorReader } from './tensor-reader.js';

/** A checked safetensors file, read tensor by tensor: memory holds the header and what is asked for. */
export class SafetensorsReader implements TensorReader {
  readonly path: string;
  /** Tensor names in the order of the header. */
  readonly names: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
  private readonly source: FileSource;
  private readonly header: SafetensorsHeader;
  private readonly dataStart: number;

  /** Use `openSafetensors`. */
  constructor(source: FileSource, path: string, header: SafetensorsHeader, dataStart: number) {
    this.source = source;
    this.path = path;
    this.header = header;
    this.dataStart = dataStart;
    this.names = [...header.tensors.keys()];
    this.metadata = header.metadata;
  }

  /** Type, shape and place of a tensor. Throws TensorNotFoundError. */
  info(name: string): TensorInfo {
    const info = this.header.tensors.get(name);
    if (info === undefined) throw new TensorNotFoundError(this.path, name);
    return info;
  }

  has(name: string): boolean {
    return this.header.tensors.has(name);
  }

  /** The tensor's bytes as stored: little-endian, row-major. */
  async readBytes(name: string): Promise<Uint8Array> {
    const { begin, end } = this.info(name);
    const bytes = await this.source.read(this.path, this.dataStart + begin, this.dataStart + end);
    if (bytes.length === end - begin) return bytes;
    throw new InvalidSafetensorsError(this.path, [
      { field: `${name}.data_offsets`, description: `${bytes.length} of ${end - begin} bytes could be read` },
    ]);
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
}

/**
 * Opens a safetensors file and checks all of its header before anything is read from it.
 * @throws ModelFileMissingError     NOT_FOUND
 * @throws InvalidSafetensorsError   INVALID_ARGUMENT: every problem, by tensor and property
 */
export async function openSafetensors(source: FileSource, path: string): Promise<SafetensorsReader> {
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
