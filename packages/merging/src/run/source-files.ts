import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { InvalidSafetensorsError, ModelFileMissingError, type StoredTensor } from '@agentforge/model';
import {
  add,
  matmul,
  mulScalar,
  prefetchWeights,
  readWeights,
  type StoredType,
  type Tensor,
  tensor,
} from '@agentforge/tensor';
import type { Tensors } from '../checkpoint/checkpoint.js';
import { elementsOf, type PlannedSource } from '../plan/plan.js';

/** Types that the compute core reads; others are converted here. */
const STORED: Readonly<Record<string, StoredType | undefined>> = { F32: 'F32', F16: 'F16', BF16: 'BF16' };

/** A tensor whose file is open. */
interface OpenTensor {
  readonly file: number;
  readonly place: StoredTensor;
  readonly shape: readonly number[];
  /** Absent for types that the compute core does not read. */
  readonly type: StoredType | undefined;
}

/** A tensor of a model whose file is open, and those of an adapter of it. */
export interface OpenSource extends OpenTensor {
  readonly source: PlannedSource;
  readonly adapter: { readonly a: OpenTensor; readonly b: OpenTensor; readonly scale: number } | undefined;
}

/** Whether any part of a tensor can be read by itself. */
export function isDivisible({ type, adapter }: OpenSource): boolean {
  return type !== undefined && adapter === undefined;
}

interface OpenFile {
  readonly handle: FileHandle;
  readonly sizeBytes: number;
}

/** The files that a merge reads, each opened once. */
export class SourceFiles {
  private readonly files = new Map<string, Promise<OpenFile>>();

  /**
   * Opens the file of a tensor, if it is not open.
   * @throws ModelFileMissingError    NOT_FOUND: it is gone
   * @throws InvalidSafetensorsError  INVALID_ARGUMENT: it got shorter
   */
  async open(source: PlannedSource): Promise<OpenSource> {
    const { checkpoint, name } = source;
    const adapter = checkpoint.adapters?.get(name);
    const part = (tensor: string) =>
      this.openTensor(adapter?.folder ?? '', adapter?.tensors ?? checkpoint.tensors, tensor);
    return {
      ...(await this.openTensor(checkpoint.folder, checkpoint.tensors, name)),
      source,
      adapter: adapter && { a: await part(adapter.a), b: await part(adapter.b), scale: adapter.scale },
    };
  }

  private async openTensor(
    folder: string,
    tensors: Pick<Tensors, 'place' | 'info'>,
    name: string,
  ): Promise<OpenTensor> {
    const place = tensors.place(name);
    const path = join(folder, place.path);
    const { handle, sizeBytes } = await (this.files.get(path) ?? this.add(path, place.path, folder));
    if (place.end > sizeBytes) {
      const description = `${Math.max(0, sizeBytes - place.begin)} of ${place.end - place.begin} bytes are there`;
      throw new InvalidSafetensorsError(path, [{ field: `${name}.data_offsets`, description }]);
    }
    const { dtype, shape } = tensors.info(name);
    return { file: handle.fd, place, shape, type: STORED[dtype] };
  }

  async close(): Promise<void> {
    const files = [...this.files.values()];
    this.files.clear();
    for (const file of files)
      await file.then(
        ({ handle }) => handle.close(),
        () => undefined,
      );
  }

  /** Asked for by several at once, a file is opened once. */
  private add(path: string, name: string, folder: string): Promise<OpenFile> {
    const opening = openFile(path, name, folder);
    this.files.set(path, opening);
    return opening;
  }
}

async function openFile(path: string, name: string, folder: string): Promise<OpenFile> {
  const handle = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ENOENT' ? new ModelFileMissingError(name, folder) : error;
  });
  const { size: sizeBytes } = await handle.stat();
  return { handle, sizeBytes };
}

/** Has a tensor's bytes brought into memory, for {@link readPart} soon; does not wait. */
export function prefetch({ file, place: { begin, end } }: OpenSource): void {
  prefetchWeights({ file, position: begin }, end - begin);
}

/** Numbers `begin`.. of a tensor that is divisible, as many as fill `shape`. */
export function readPart(tensor: OpenTensor, begin: number, shape: readonly number[]): Tensor {
  const { file, place, type } = tensor;
  if (type === undefined) throw new TypeError(`${place.path} has a type that the compute core does not read`);
  return readWeights({ file, position: place.begin + begin * (type === 'F32' ? 4 : 2) }, type, shape);
}

/** A whole tensor, with what an adapter adds. @param converted  its numbers, when the compute core does not read them */
export function readWhole(source: OpenSource, converted: Tensor | undefined): Tensor {
  const { shape, adapter } = source;
  const own = converted ?? readPart(source, 0, shapeOf(shape));
  if (!adapter) return own;
  const [a, b] = [readPart(adapter.a, 0, adapter.a.shape), readPart(adapter.b, 0, adapter.b.shape)];
  return add(own, mulScalar(matmul(b, a), adapter.scale));
}

/** A whole tensor of a type that the compute core does not read, by the checkpoint's own reader. */
export async function readConverted({ source: { checkpoint, name }, shape }: OpenSource): Promise<Tensor> {
  const values = new Float32Array(elementsOf(shape));
  await checkpoint.tensors.readF32Into(name, values);
  return tensor(values, shapeOf(shape)).keep();
}

/** A shape of the compute core: a single number is one of one axis there. */
function shapeOf(shape: readonly number[]): readonly number[] {
  return shape.length === 0 ? [1] : shape;
}
