import { createHash } from 'node:crypto';
import { type AppError, isAppError } from '@agentforge/errors';
import {
  countParameters,
  type FileSource,
  loadConfig,
  loadTokenizer,
  type ModelConfig,
  openWeights,
  type TensorReader,
  TOKENIZER_FILE,
  WEIGHTS_FILE,
} from '@agentforge/model';
import type { Finding } from './verdict.js';

/** What reading every byte of a model showed. The same bytes always show the same. */
export interface ModelInspection {
  readonly problems: readonly Finding[];
  /** Absent when config.json is not readable. */
  readonly config?: ModelConfig;
  /** Parameters that the configuration gives. */
  readonly parameters?: number;
  /** Values that are NaN or infinite. */
  readonly nonFinite: number;
  /** Digests of the files that decide whether two models are the same or can be merged; empty where there are none. */
  readonly weightsDigest: string;
  readonly tokenizerDigest: string;
}

/** What tells a model from others without reading it. */
export type ModelIdentity = Pick<ModelInspection, 'weightsDigest' | 'tokenizerDigest'>;

/** Digest of each file of a model, by path. */
export type FileDigests = ReadonlyMap<string, string>;

/**
 * Reads a model: configuration, tokenizer, names and shapes of all tensors, every value. Memory holds one tensor at a
 * time. What cannot be read is a problem, not an error.
 */
export async function inspectModel(source: FileSource, digests: FileDigests): Promise<ModelInspection> {
  const problems: Finding[] = [];
  const config = await attempt(problems, 'config.json', () => loadConfig(source));
  const weights = config && (await attempt(problems, 'model.safetensors', () => openWeights(source)));
  const tokenizer = await attempt(problems, 'tokenizer.json', () => loadTokenizer(source));
  if (config && tokenizer && tokenizer.vocabSize > config.vocabSize)
    problems.push({
      field: 'tokenizer.json',
      description: `has ${tokenizer.vocabSize} tokens; config.json has room for ${config.vocabSize}`,
    });
  const nonFinite = weights ? await countNonFinite(weights.reader, problems) : 0;
  return {
    problems,
    ...(config ? { config, parameters: countParameters(config).total } : {}),
    nonFinite,
    ...identityOf(digests),
  };
}

/** The identity of a model with these files. */
export function identityOf(digests: FileDigests): ModelIdentity {
  return { weightsDigest: weightsDigest(digests), tokenizerDigest: digests.get(TOKENIZER_FILE) ?? '' };
}

/** Digest of the one file that weights are in, or of all that they are spread over. */
function weightsDigest(digests: FileDigests): string {
  const whole = digests.get(WEIGHTS_FILE);
  if (whole !== undefined) return whole;
  const shards = [...digests].filter(([path]) => path.endsWith('.safetensors')).sort();
  if (shards.length === 0) return '';
  return `sha256:${createHash('sha256').update(JSON.stringify(shards)).digest('hex')}`;
}

/** Reads the tensors in the order in which they lie in the file, so that a stream serves. */
async function countNonFinite(reader: TensorReader, problems: Finding[]): Promise<number> {
  const names = [...reader.names].sort((a, b) => reader.info(a).begin - reader.info(b).begin);
  let total = 0;
  for (const name of names) {
    const field = `model.safetensors/${name}`;
    const values = await attempt(problems, field, () => reader.readF32(name));
    if (values === undefined) continue;
    let count = 0;
    for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) count++;
    if (count > 0)
      problems.push({ field, description: `has ${count} of ${values.length} values that are not finite` });
    total += count;
  }
  return total;
}

/** Errors about the content become findings; a store that cannot be reached is an error of the call. */
async function attempt<T>(problems: Finding[], file: string, read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (!isAppError(error) || !isAboutContent(error)) throw error;
    if (error.fieldViolations.length === 0) problems.push({ field: file, description: error.message });
    for (const { field, description } of error.fieldViolations)
      problems.push({ field: `${file}/${field}`, description });
    return undefined;
  }
}

const isAboutContent = ({ code }: AppError): boolean =>
  code === 'INVALID_ARGUMENT' ||
  code === 'NOT_FOUND' ||
  code === 'DATA_LOSS' ||
  code === 'FAILED_PRECONDITION' ||
  code === 'OUT_OF_RANGE';
