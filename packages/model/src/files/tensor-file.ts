import type { FileSource } from './file-source.js';
import { TensorNotFoundError } from './files.errors.js';

/** Where a tensor lies in the data part of its file, in bytes: `begin` to `end`, exclusive. */
export interface TensorPlace {
  readonly begin: number;
  readonly end: number;
}

/** A checked file of named tensors, read tensor by tensor: memory holds the header and what is asked for. */
export abstract class TensorFile<Info extends TensorPlace> {
  readonly path: string;
  /** Tensor names in the order of the header. */
  readonly names: readonly string[];
  private readonly source: FileSource;
  private readonly tensors: ReadonlyMap<string, Info>;
  private readonly dataStart: number;

  /** @param dataStart byte of the file where the data part begins */
  constructor(source: FileSource, path: string, tensors: ReadonlyMap<string, Info>, dataStart: number) {
    this.source = source;
    this.path = path;
    this.tensors = tensors;
    this.dataStart = dataStart;
    this.names = [...tensors.keys()];
  }

  /** Type, shape and place of a tensor. Throws TensorNotFoundError. */
  info(name: string): Info {
    const info = this.tensors.get(name);
    if (info === undefined) throw new TensorNotFoundError(this.path, name);
    return info;
  }

  has(name: string): boolean {
    return this.tensors.has(name);
  }

  /** Where the tensor's bytes are in the file. Throws TensorNotFoundError. */
  place(name: string): { readonly path: string; readonly begin: number; readonly end: number } {
    const { begin, end } = this.info(name);
    return { path: this.path, begin: this.dataStart + begin, end: this.dataStart + end };
  }

  /** The tensor's bytes as stored: little-endian, row-major. */
  async readBytes(name: string): Promise<Uint8Array> {
    const { begin, end } = this.info(name);
    const bytes = await this.source.read(this.path, this.dataStart + begin, this.dataStart + end);
    if (bytes.length === end - begin) return bytes;
    throw this.invalid(name, `${bytes.length} of ${end - begin} bytes could be read`);
  }

  /** The same into memory of the caller, which has exactly as many bytes. */
  protected async readBytesInto(name: string, target: Uint8Array): Promise<void> {
    const { begin, end } = this.info(name);
    const start = this.dataStart + begin;
    let done: number;
    if (this.source.readInto) done = await this.source.readInto(this.path, start, target);
    else {
      const bytes = await this.source.read(this.path, start, this.dataStart + end);
      target.set(bytes);
      done = bytes.length;
    }
    if (done !== end - begin) throw this.invalid(name, `${done} of ${end - begin} bytes could be read`);
  }

  /** The error of the format for a tensor whose bytes are not there. */
  protected abstract invalid(name: string, description: string): Error;
}
