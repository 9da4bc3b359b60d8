import { type FileSource, REPLACED } from '../files/file-source.js';
import { ModelFileMissingError } from '../files/files.errors.js';
import { TensorFile } from '../files/tensor-file.js';
import { BLOCK_FORMATS } from './blocks.js';
import { WindowTooSmall } from './byte-cursor.js';
import { InvalidGgufError } from './gguf.errors.js';
import { type GgufHeader, type GgufTensorInfo, parseGgufHeader } from './header.js';
import type { GgufMetadata } from './values.js';

/** First look at a file: enough for the header of a model with a vocabulary of some ten thousand tokens. */
const FIRST_WINDOW_BYTES = 1 << 20;
/** A header above this is an attack or garbage; vocabularies of 2^20 tokens take less. */
const MAX_HEADER_BYTES = 1 << 28;

/** A checked GGUF file. */
export class GgufReader extends TensorFile<GgufTensorInfo> {
  readonly metadata: GgufMetadata;

  /** Use `openGguf`. */
  constructor(source: FileSource, path: string, header: GgufHeader) {
    super(source, path, header.tensors, header.dataStart);
    this.metadata = header.metadata;
  }

  /** The tensor's values, row-major, in memory of their own. */
  async readF32(name: string): Promise<Float32Array> {
    return BLOCK_FORMATS[this.info(name).type].decode(await this.readBytes(name));
  }

  protected invalid(name: string, description: string): Error {
    return new InvalidGgufError(this.path, [{ field: `${name}.offset`, description }]);
  }
}

/**
 * Opens a GGUF file and checks all of its header before any tensor is read.
 * @throws ModelFileMissingError  NOT_FOUND
 * @throws InvalidGgufError       INVALID_ARGUMENT: every problem, by key or tensor; of a file in a folder, by the reader
 *                                too: it was replaced or written to meanwhile
 */
export async function openGguf(files: FileSource, path: string): Promise<GgufReader> {
  const replaced = () => new InvalidGgufError(path, [{ field: 'file', description: REPLACED }]);
  const source = (await files.pinned?.(path, replaced)) ?? files;
  const sizeBytes = await source.size(path);
  if (sizeBytes === null) throw new ModelFileMissingError(path, 'the model');
  for (let wanted = FIRST_WINDOW_BYTES; ; wanted *= 4) {
    if (wanted > MAX_HEADER_BYTES) {
      throw new InvalidGgufError(path, [
        { field: 'header', description: `is larger than the limit of ${MAX_HEADER_BYTES} bytes` },
      ]);
    }
    const window = await source.read(path, 0, Math.min(wanted, sizeBytes));
    try {
      // What could be read now is the file: one that shrank meanwhile is a truncated one.
      const result = parseGgufHeader(
        window,
        window.length < Math.min(wanted, sizeBytes) ? window.length : sizeBytes,
      );
      if ('violations' in result) throw new InvalidGgufError(path, result.violations);
      return new GgufReader(source, path, result.header);
    } catch (error) {
      if (!(error instanceof WindowTooSmall)) throw error;
    }
  }
}
