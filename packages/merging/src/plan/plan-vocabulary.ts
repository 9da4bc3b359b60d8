import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { isVocabulary } from '../checkpoint/layout.js';
import type { Problems } from '../recipe/fields.js';
import type { MergeRecipe } from '../recipe/recipe.js';
import { type Donor, stripped, unite, withTokens } from '../tokenizer/unite.js';
import { differenceOf, type Vocabulary } from '../tokenizer/vocabulary.js';
import type { PlannedVocabulary } from './plan.js';

/** The vocabulary of the result, and whether rows are brought together by token. */
export function planVocabulary(
  recipe: MergeRecipe,
  donor: Checkpoint,
  models: readonly Checkpoint[],
  problems: Problems,
): PlannedVocabulary {
  const { tokenizer: request } = recipe;
  const asItIs: PlannedVocabulary = { tokenizer: null, donor, rows: null };
  if (!request) return asItIs;
  const donors = models.flatMap((model): (Donor & { model: Checkpoint })[] => {
    if (model.vocabulary) return [{ model, vocabulary: model.vocabulary, rows: rowsOf(model) }];
    problems.add(request.path, `${model.reference} has no tokenizer.json, so that its rows have no tokens`);
    return [];
  });
  const own = donors.find(({ model }) => model === donor);
  if (!own || donors.length < models.length) return asItIs;
  const { source } = request;
  let chosen = own;
  let tokenizer: Vocabulary;
  try {
    if (source === 'union') tokenizer = unite([own, ...donors.filter((one) => one !== own)]);
    else {
      chosen = donors.find(({ model }) => source !== 'base' && model.reference === source.model) ?? own;
      tokenizer = stripped(chosen);
    }
  } catch (error) {
    problems.add(request.path, `no union: ${error instanceof Error ? error.message : String(error)}`);
    return asItIs;
  }
  tokenizer = withTokens(tokenizer, request.tokens.keys());
  checkTokens(recipe, models, tokenizer, problems);
  const step = request.padToMultipleOf;
  const used = Math.max(-1, ...tokenizer.idOf.values()) + 1;
  return { tokenizer, donor: chosen.model, rows: Math.ceil(used / step) * step };
}

/** Rows of a model's embedding: tokens above have none. */
export function rowsOf({ tensors, config }: Checkpoint): number {
  const name = tensors.names.find(isVocabulary);
  const rows = name === undefined ? undefined : tensors.info(name).shape[0];
  const said = config['vocab_size'];
  return rows ?? (typeof said === 'number' ? said : 0);
}

/** Whether the donors of single tokens have them. */
function checkTokens(
  { tokenizer: request }: MergeRecipe,
  models: readonly Checkpoint[],
  { idOf }: Vocabulary,
  problems: Problems,
): void {
  for (const [token, { path, source, force }] of request?.tokens ?? []) {
    if (source.kind === 'default' && force) problems.add(path, 'has force without a source');
    if (!idOf.has(token)) problems.add(path, `${token} is not in the tokenizer of the result`);
    if (source.kind !== 'model' && source.kind !== 'model_token') continue;
    const donor = models.find(({ reference }) => reference === source.model);
    const wanted = source.kind === 'model' ? token : source.token;
    const id = typeof wanted === 'number' ? wanted : donor?.vocabulary?.idOf.get(wanted);
    if (!donor) problems.add(path, `${source.model} is not a model of this merge`);
    else if (id === undefined || id >= rowsOf(donor))
      problems.add(path, `${source.model} has no token ${wanted}`);
  }
}

/**
 * Without a request, rows are merged as they stand: they must mean the same tokens. What is wrong, for people; null when
 * nothing is.
 */
export function vocabularyProblem(first: Checkpoint, other: Checkpoint): string | null {
  if (!first.vocabulary || !other.vocabulary) return null;
  const difference = differenceOf(first.vocabulary, other.vocabulary);
  if (difference === null) return null;
  return (
    `its vocabulary is not that of ${first.reference}: ${difference}. Rows of the embeddings would mean different tokens; ` +
    'say "tokenizer: {source: union}" (or base) to bring them together by token'
  );
}
