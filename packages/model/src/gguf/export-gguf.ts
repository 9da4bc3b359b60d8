import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import type { FieldViolation } from '@agentforge/errors';
import { ArgumentError } from '@agentforge/tensor';
import type { ModelConfig } from '../config/model-config.js';
import { ropeFactors } from '../config/rope-scaling.js';
import type { FilePlan } from '../files/file-plan.js';
import { computedSource, type WeightsOf } from '../files/tensor-source.js';
import { writePlanned } from '../files/write-planned.js';
import type { BpeTokenizer } from '../tokenizer/bpe-tokenizer.js';
import { BLOCK_FORMATS, type GgmlType, ggmlBytes } from './blocks.js';
import { GgufExportError } from './gguf.errors.js';
import { type LlamaTensor, llamaTensors, permuteRotaryRows } from './llama-tensors.js';
import { ARCHITECTURE, architectureMetadata } from './metadata.js';
import { isTernary, ternarize } from './ternarize.js';
import { foreignTokenizer, tokenizerMetadata } from './tokenizer.js';
import type { GgufValue } from './values.js';
import { planGguf } from './writer.js';

/** Types a model can be written in, as the command line names them. */
export const GGUF_EXPORT_TYPES = ['f32', 'f16', 'q8_0', 'tq1_0', 'tq2_0'] as const;

/** Type of the projections of an exported model. */
export type GgufExportType = (typeof GGUF_EXPORT_TYPES)[number];

/** Type of the embedding (and of an output projection of its own). */
export type GgufEmbeddingType = 'f32' | 'f16' | 'q8_0';

/** Settings of `exportGguf`. */
export interface GgufExportOptions {
  /** Type of the projections. Norms and biases are always f32. */
  readonly type: GgufExportType;
  /** Default: `type`; f16 for the ternary ones, which are too coarse for embeddings. */
  readonly embeddingType?: GgufEmbeddingType;
  /** Name of the model in the file. Default: the file's, without its extension. */
  readonly name?: string;
}

/** One written tensor. */
export interface GgufExportedTensor {
  readonly name: string;
  readonly type: GgmlType;
  readonly sizeBytes: number;
  /** Root mean square of what the type lost, over that of the tensor; 0 when nothing. */
  readonly relativeError: number;
  /** Whether the weights were not ternary and were rounded with `ternarize` first. */
  readonly wasTernarized: boolean;
}

/** What `exportGguf` wrote. */
export interface GgufExport {
  readonly sizeBytes: number;
  /** Hexadecimal, of the whole file's tensors and header in order. */
  readonly sha256: string;
  readonly tensors: readonly GgufExportedTensor[];
}

/** `general.file_type` of llama.cpp: what most tensors are. @see `enum llama_ftype` in llama.h */
const FILE_TYPES: Readonly<Record<GgufExportType, number>> = {
  f32: 0,
  f16: 1,
  q8_0: 7,
  tq1_0: 36,
  tq2_0: 37,
};
/** Version of the quantised formats. @see GGML_QNT_VERSION in ggml.h */
const QUANTIZATION_VERSION = 2;

/**
 * Writes a model as a GGUF version 3 file that llama.cpp loads as architecture "llama", tokenizer included. One
 * tensor is in memory at a time. The file appears complete or not at all. Same model and settings, same bytes.
 *
 * With a ternary type, a matrix that is not ternary yet is rounded with its mean magnitude first (`ternarize`), as
 * BitNet b1.58 does: the types' own scale, the largest magnitude of a block, would leave little but zeros.
 *
 * Of ternary layers (`toBitNet`) it writes the weights that they compute with, in any type: llama.cpp has no such layers.
 * @throws UnmergedAdapterError  FAILED_PRECONDITION: an adapter that is not merged, which the file would be without
 * @throws GgufExportError  INVALID_ARGUMENT: rows that are no whole blocks, values that are not finite or too large
 *                          for the type's f16 scale, a tokenizer with more tokens than embeddings, or
 *                          one that llama.cpp does not have; every tensor named
 */
export async function exportGguf(
  path: string,
  model: WeightsOf,
  tokenizer: BpeTokenizer,
  options: GgufExportOptions,
): Promise<GgufExport> {
  const source = computedSource(model);
  const tensors = llamaTensors(source.config);
  checkExport(source.config, tensors, tokenizer, options);
  const plan = planExport(source.config, tensors, tokenizer, {
    ...options,
    name: options.name ?? basename(path).replace(/\.gguf$/, ''),
  });
  const byGgufName = new Map(tensors.map((tensor) => [tensor.ggufName, tensor]));
  const hash = createHash('sha256').update(plan.head);
  const written: GgufExportedTensor[] = [];
  await writePlanned(path, plan, async (name) => {
    const tensor = byGgufName.get(name) as LlamaTensor;
    const { bytes, report } = encodeTensor(
      tensor,
      tensor.role === 'rotation'
        ? Float32Array.from(ropeFactors(source.config))
        : await source.readF32(tensor.name),
      typeOf(tensor, options),
    );
    hash.update(bytes);
    written.push(report);
    return bytes;
  });
  return { sizeBytes: plan.sizeBytes, sha256: hash.digest('hex'), tensors: written };
}

function typeOf({ role }: LlamaTensor, { type, embeddingType }: GgufExportOptions): GgmlType {
  if (role === 'vector' || role === 'rotation') return 'F32';
  if (role === 'projection') return type.toUpperCase() as GgmlType;
  const isTernaryType = type === 'tq1_0' || type === 'tq2_0';
  return (embeddingType ?? (isTernaryType ? 'f16' : type)).toUpperCase() as GgmlType;
}

function checkExport(
  config: ModelConfig,
  tensors: readonly LlamaTensor[],
  tokenizer: BpeTokenizer,
  options: GgufExportOptions,
): void {
  const violations: FieldViolation[] = [];
  for (const field of ['memory', 'slidingWindow', 'recursion'] as const) {
    if (config[field] !== undefined)
      violations.push({
        field,
        description: 'has no place in a GGUF of architecture llama; export safetensors',
      });
  }
  for (const tensor of tensors) {
    const type = typeOf(tensor, options);
    const row = tensor.shape.at(-1) ?? 0;
    const { elements } = BLOCK_FORMATS[type];
    if (row % elements === 0) continue;
    violations.push({
      field: tensor.name,
      description: `has rows of ${row}; ${type} needs multiples of ${elements} (choose another type, or other widths)`,
    });
  }
  if (tokenizer.vocabSize > config.vocabSize) {
    violations.push({
      field: 'tokenizer',
      description: `has ${tokenizer.vocabSize} ids, the model only ${config.vocabSize} embeddings`,
    });
  }
  const foreign = foreignTokenizer(tokenizer);
  if (foreign !== null) violations.push({ field: 'tokenizer', description: foreign });
  if (violations.length > 0) throw new GgufExportError(violations);
}

function planExport(
  config: ModelConfig,
  tensors: readonly LlamaTensor[],
  tokenizer: BpeTokenizer,
  options: GgufExportOptions & { readonly name: string },
): FilePlan {
  const metadata = new Map<string, GgufValue>([
    ['general.architecture', { type: 'string', value: ARCHITECTURE }],
    ['general.type', { type: 'string', value: 'model' }],
    ['general.name', { type: 'string', value: options.name }],
    ['general.file_type', { type: 'u32', value: FILE_TYPES[options.type] }],
    ['general.quantization_version', { type: 'u32', value: QUANTIZATION_VERSION }],
    ...architectureMetadata(config),
    ...tokenizerMetadata(tokenizer, config.vocabSize, config),
  ]);
  const shapes = tensors.map(
    (tensor) => [tensor.ggufName, { type: typeOf(tensor, options), shape: tensor.shape }] as const,
  );
  return planGguf(metadata, new Map(shapes));
}

function encodeTensor(
  { name, columns, rotaryHeads }: LlamaTensor,
  values: Float32Array,
  type: GgmlType,
): { readonly bytes: Uint8Array; readonly report: GgufExportedTensor } {
  const wasTernarized = (type === 'TQ1_0' || type === 'TQ2_0') && !isTernary(values);
  const ordered = rotaryHeads > 0 ? permuteRotaryRows(values, rotaryHeads, columns) : values;
  const bytes = encodeFinite(name, type, wasTernarized ? ternarize(ordered) : ordered);
  const relativeError = lostShare(ordered, BLOCK_FORMATS[type].decode(bytes));
  if (!Number.isFinite(relativeError)) throw unfit(name, type);
  const sizeBytes = ggmlBytes(type, values.length);
  return { bytes, report: { name, type, sizeBytes, relativeError, wasTernarized } };
}

function encodeFinite(name: string, type: GgmlType, values: Float32Array): Uint8Array {
  try {
    return BLOCK_FORMATS[type].encode(values);
  } catch (error) {
    if (error instanceof ArgumentError) throw unfit(name, type);
    throw error;
  }
}

function unfit(name: string, type: GgmlType): GgufExportError {
  const description = `has values that are not finite, or beyond what ${type} can hold`;
  return new GgufExportError([{ field: name, description }]);
}

/** ‖x − y‖ / ‖x‖; NaN or infinite when an element of either is. */
function lostShare(x: Float32Array, y: Float32Array): number {
  let lost = 0;
  let whole = 0;
  for (let i = 0; i < x.length; i++) {
    const value = x[i] ?? 0;
    lost += (value - (y[i] ?? 0)) ** 2;
    whole += value * value;
  }
  return lost === 0 && Number.isFinite(whole) ? 0 : Math.sqrt(lost / whole);
}
