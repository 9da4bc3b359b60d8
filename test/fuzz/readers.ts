import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError } from '@agentforge/errors';
import {
  exportGguf,
  type GgufMetadata,
  type GgufValue,
  LlamaModel,
  memorySource,
  openGguf,
  openGgufModel,
  openSafetensors,
  planGguf,
  planSafetensors,
  presetConfig,
  trainBpe,
} from '@agentforge/model';
import { Philox } from '@agentforge/tensor';

/** A reader of files that nobody vouches for. */
export interface FuzzTarget {
  /** Files that read without an error, to be damaged. */
  seeds(): Promise<Uint8Array[]>;
  /**
   * Reads a file as far as it goes.
   * @returns  what came of it, without the numbers: inputs that differ in it took different ways through the reader
   * @throws   whatever the reader threw that it must not throw
   */
  read(bytes: Uint8Array): Promise<string>;
}

const FILE = 'file';

const safetensors: FuzzTarget = {
  async seeds() {
    const dtypes = ['F64', 'F32', 'F16', 'BF16', 'I64', 'U8', 'BOOL', 'F8_E4M3'] as const;
    const plan = planSafetensors(
      new Map(dtypes.map((dtype, i) => [`${dtype}.weight`, { dtype, shape: i === 2 ? [0, 4] : [2, i + 1] }])),
    );
    const one = planSafetensors(new Map([['x', { dtype: 'F32', shape: [] }]]), {});
    return [plan, one].map(({ head, sizeBytes }) => padded(head, sizeBytes));
  },
  read: (bytes) =>
    outcome(async () => {
      const reader = await openSafetensors(memorySource(new Map([[FILE, bytes]])), FILE);
      for (const name of reader.names) {
        const { dtype, shape } = reader.info(name);
        const raw = await reader.readBytes(name);
        const isFloat = ['F64', 'F32', 'F16', 'BF16'].includes(dtype);
        const length = isFloat ? (await reader.readF32(name)).length : raw.length / widthOf(dtype);
        expectSize(name, length, shape);
      }
      return countOf(reader.names);
    }),
};

const gguf: FuzzTarget = {
  async seeds() {
    const small = planGguf(
      METADATA,
      new Map([
        ['a', { type: 'F32', shape: [2, 3] }],
        ['b', { type: 'TQ2_0', shape: [1, 256] }],
        ['c', { type: 'TQ1_0', shape: [256] }],
        ['d', { type: 'Q8_0', shape: [1, 1, 2, 32] }],
        ['e', { type: 'BF16', shape: [3] }],
      ]),
    );
    return [padded(small.head, small.sizeBytes), await wholeModel()];
  },
  read: (bytes) =>
    outcome(async () => {
      const source = memorySource(new Map([[FILE, bytes]]));
      const reader = await openGguf(source, FILE);
      for (const name of reader.names) {
        expectSize(name, (await reader.readF32(name)).length, reader.info(name).shape);
      }
      const asModel = await outcome(async () => {
        await openGgufModel(source, FILE);
        return 'a model';
      });
      return `${countOf(reader.names)}, ${asModel}`;
    }),
};

/** More than one is as good as another. */
export const countOf = (names: readonly string[]): string => `${Math.min(2, names.length)} tensors`;

/** Readers of one file, by the name that the command line takes. */
export const READERS: Readonly<Record<'safetensors' | 'gguf', FuzzTarget>> = { safetensors, gguf };

/** Refusals become a text; only INVALID_ARGUMENT and NOT_FOUND are refusals of a file. */
export async function outcome(read: () => Promise<string>): Promise<string> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof AppError) || !['INVALID_ARGUMENT', 'NOT_FOUND'].includes(error.code)) throw error;
    const checks = new Set(error.fieldViolations.map(({ description }) => checkOf(description)));
    return [error.code, ...checks].slice(0, 3).join('; ');
  }
}

/** Which check a description is of: the words in it that are not of the input. */
function checkOf(description: string): string {
  const words = description.replace(/["'`[(].*$/su, '').match(/(?<!\S)[a-z][a-z-]*(?=[\s,;:.]|$)/gu) ?? [];
  return words.slice(-4).join(' ');
}

/** Whether as many elements were read as the shape has. */
export function expectSize(name: string, length: number, shape: readonly number[]): void {
  const wanted = shape.reduce((product, size) => product * size, 1);
  if (length !== wanted) throw new Error(`${name}: ${length} elements were read, shape [${shape}]`);
}

function widthOf(dtype: string): number {
  return dtype.endsWith('64') ? 8 : dtype.endsWith('32') ? 4 : dtype.endsWith('16') ? 2 : 1;
}

function padded(head: Uint8Array, sizeBytes: number): Uint8Array {
  const file = new Uint8Array(sizeBytes);
  file.set(head);
  return file;
}

const METADATA: GgufMetadata = new Map<string, GgufValue>([
  ['u8', { type: 'u8', value: 255 }],
  ['i16', { type: 'i16', value: -32_768 }],
  ['f32', { type: 'f32', value: 0.5 }],
  ['u64', { type: 'u64', value: 2n ** 64n - 1n }],
  ['f64', { type: 'f64', value: 0.1 }],
  ['bool', { type: 'bool', value: true }],
  ['string', { type: 'string', value: 'naïve \u{1F389}' }],
  ['strings', { type: 'array', of: 'string', value: ['', 'b'] }],
  ['bools', { type: 'array', of: 'bool', value: [true, false] }],
  ['numbers', { type: 'array', of: 'i16', value: Int16Array.of(-1, 2) }],
]);

/** A model with its tokenizer, as small as one can be. */
async function wholeModel(): Promise<Uint8Array> {
  const tokenizer = trainBpe(['to be or not to be'], { vocabSize: 260 });
  const config = presetConfig('pico', {
    vocabSize: 260,
    hiddenSize: 32,
    numLayers: 1,
    numHeads: 1,
    numKvHeads: 1,
    headDim: 32,
    intermediateSize: 32,
  });
  const model = LlamaModel.init(config, new Philox(1));
  const folder = mkdtempSync(join(tmpdir(), 'fuzz-'));
  try {
    await exportGguf(join(folder, FILE), model, tokenizer, { type: 'f16' });
    return new Uint8Array(readFileSync(join(folder, FILE)));
  } finally {
    model.dispose();
    rmSync(folder, { recursive: true });
  }
}
