import type { FieldViolation } from '@agentforge/errors';
import type { ModelConfig } from '../config/model-config.js';
import type { FileSource } from '../files/file-source.js';
import type { LoadedModel } from '../files/model-files.js';
import { LlamaModel } from '../llama/llama-model.js';
import { InvalidGgufError } from './gguf.errors.js';
import { llamaTensors, parameterTensors, permuteRotaryRows, ROPE_FACTORS_TENSOR } from './llama-tensors.js';
import { configFromMetadata } from './metadata.js';
import { type GgufReader, openGguf } from './reader.js';
import { tokenizerFromMetadata } from './tokenizer.js';

/** A GGUF file of this model family, open and checked: its tensors by Hugging Face name, one at a time. */
export interface GgufModel {
  readonly config: ModelConfig;
  readonly reader: GgufReader;
  /** Values of a parameter as this family computes with them, row-major. */
  readF32(name: string): Promise<Float32Array>;
}

/**
 * Opens a llama model in a GGUF file.
 * @throws ModelFileMissingError  NOT_FOUND
 * @throws InvalidGgufError       INVALID_ARGUMENT: not a GGUF file, not a plain llama, or tensors that do not fit; all of it
 */
export async function openGgufModel(source: FileSource, path: string): Promise<GgufModel> {
  const reader = await openGguf(source, path);
  const vocabSize = reader.has('token_embd.weight') ? (reader.info('token_embd.weight').shape[0] ?? 0) : 0;
  const config = configFromMetadata(path, reader.metadata, {
    vocabSize,
    isTied: !reader.has('output.weight'),
    attentionBias: reader.has('blk.0.attn_q.bias'),
    mlpBias: reader.has('blk.0.ffn_gate.bias'),
    ropeFactors: reader.has(ROPE_FACTORS_TENSOR) ? await reader.readF32(ROPE_FACTORS_TENSOR) : null,
  });
  const tensors = new Map(llamaTensors(config).map((tensor) => [tensor.name, tensor]));
  checkTensors(reader, [...tensors.values()]);
  return {
    config,
    reader,
    async readF32(name) {
      const tensor = tensors.get(name);
      if (tensor === undefined) return reader.readF32(name);
      const values = await reader.readF32(tensor.ggufName);
      const { rotaryHeads, columns } = tensor;
      return rotaryHeads > 0 ? permuteRotaryRows(values, rotaryHeads, columns, true) : values;
    },
  };
}

/** A model and its tokenizer from a GGUF file. Throws as `openGgufModel` does, and for tokenizers of other kinds. */
export async function loadGguf(source: FileSource, path: string): Promise<LoadedModel> {
  const opened = await openGgufModel(source, path);
  const tokenizer = tokenizerFromMetadata(path, opened.reader.metadata);
  const weights = new Map<string, Float32Array>();
  for (const { name } of parameterTensors(opened.config)) weights.set(name, await opened.readF32(name));
  return { config: opened.config, model: LlamaModel.fromState(opened.config, weights), tokenizer };
}

function checkTensors(
  reader: GgufReader,
  tensors: readonly { readonly ggufName: string; readonly shape: readonly number[] }[],
): void {
  const violations: FieldViolation[] = [];
  const known = new Set<string>();
  for (const { ggufName: field, shape } of tensors) {
    known.add(field);
    if (!reader.has(field)) violations.push({ field, description: 'is missing' });
    else if (reader.info(field).shape.join() !== shape.join()) {
      violations.push({
        field,
        description: `has shape [${reader.info(field).shape}], the metadata give [${shape}]`,
      });
    }
  }
  for (const field of reader.names) {
    if (!known.has(field)) violations.push({ field, description: 'is not a tensor of a plain llama' });
  }
  if (violations.length > 0) throw new InvalidGgufError(reader.path, violations);
}
