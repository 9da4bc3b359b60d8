import type { TokenRequest } from '../recipe/recipe.js';

/** One model's embedding, whose rows mean tokens of its own vocabulary. */
export interface Embedding {
  /** As the recipe names the model. */
  readonly model: string;
  readonly idOf: ReadonlyMap<string, number>;
  /** f32 [rows, width]. */
  readonly values: Float32Array;
  readonly rows: number;
}

/** What rows are brought to. */
export interface Alignment {
  readonly idOf: ReadonlyMap<string, number>;
  /** Rows of the result; those without a token get the mean of the others. */
  readonly rows: number;
  readonly width: number;
  readonly base: string | undefined;
  readonly tokens: ReadonlyMap<string, TokenRequest>;
}

/**
 * Embeddings with the rows of one vocabulary. A token that a model lacks gets the row of the only model that has it, of
 * the base, or else the mean of those that have it; zero when none has. Requests for a token come first.
 * @returns  one array per model, [rows, width]
 * @see mergekit `PermutedEmbeddings`
 */
export function alignRows(embeddings: readonly Embedding[], alignment: Alignment): Float32Array[] {
  const { idOf, rows, width, tokens } = alignment;
  const aligned = embeddings.map(() => new Float32Array(rows * width));
  for (const [token, id] of idOf) {
    const own = embeddings.map((embedding) => rowOf(embedding, token, width));
    const { force = false } = tokens.get(token) ?? {};
    const isComplete = !force && own.every((row) => row !== undefined);
    const fallback = isComplete ? undefined : defaultRow(token, own, embeddings, alignment);
    aligned.forEach((values, i) => {
      const row = force ? undefined : own[i];
      values.set(row ?? (fallback as Float32Array), id * width);
    });
  }
  for (const values of aligned) padWithMean(values, idOf.size, rows, width);
  return aligned;
}

function rowOf(
  { idOf, values, rows }: Embedding,
  token: string | number,
  width: number,
): Float32Array | undefined {
  const id = typeof token === 'number' ? token : idOf.get(token);
  return id === undefined || id >= rows ? undefined : values.subarray(id * width, (id + 1) * width);
}

function defaultRow(
  token: string,
  own: readonly (Float32Array | undefined)[],
  embeddings: readonly Embedding[],
  { width, base, tokens }: Alignment,
): Float32Array {
  const source = tokens.get(token)?.source ?? { kind: 'default' };
  const sum = new Float32Array(width);
  if (source.kind === 'zero') return sum;
  if (source.kind === 'model' || source.kind === 'model_token') {
    const donor = embeddings.find(({ model }) => model === source.model);
    const wanted = source.kind === 'model' ? token : source.token;
    return (donor && rowOf(donor, wanted, width)) ?? sum;
  }
  const present = own.filter((row) => row !== undefined);
  const ofBase = own[embeddings.findIndex(({ model }) => model === base)];
  if (present.length > 1 && ofBase) return ofBase;
  for (const row of present) for (let j = 0; j < width; j++) sum[j] = (sum[j] as number) + (row[j] as number);
  return present.length > 1 ? sum.map((value) => value / present.length) : sum;
}

/** Rows above the vocabulary get the mean of the rows of tokens. */
function padWithMean(values: Float32Array, used: number, rows: number, width: number): void {
  if (rows <= used) return;
  const mean = new Float64Array(width);
  for (let row = 0; row < used; row++) {
    for (let j = 0; j < width; j++)
      mean[j] = (mean[j] as number) + (values[row * width + j] as number) / used;
  }
  for (let row = used; row < rows; row++) values.set(mean, row * width);
}
