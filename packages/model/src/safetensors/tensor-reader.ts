import type { TensorInfo } from './header.js';

/** Bytes `begin` to `end`, exclusive, of a file of the checkpoint. */
export interface StoredTensor {
  readonly path: string;
  readonly begin: number;
  readonly end: number;
}

/** The tensors of a checkpoint, of one file or of several, read one at a time. */
export interface TensorReader {
  /** Name used in errors. */
  readonly path: string;
  readonly names: readonly string[];
  has(name: string): boolean;
  /** Type and shape of a tensor. Throws TensorNotFoundError. */
  info(name: string): TensorInfo;
  /** Where the tensor's bytes are, for readers that open files themselves. Throws TensorNotFoundError. */
  place(name: string): StoredTensor;
  /** The tensor's bytes as stored: little-endian, row-major. */
  readBytes(name: string): Promise<Uint8Array>;
  /** The tensor as f32, row-major, in memory of its own. Throws TensorDtypeError for integers. */
  readF32(name: string): Promise<Float32Array>;
  /** The same into memory of the caller, of exactly as many numbers. Throws TensorSizeError when it has others. */
  readF32Into(name: string, target: Float32Array): Promise<void>;
}
