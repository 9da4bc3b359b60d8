import type { WeightsDtype } from '@agentforge/model';
import { layerKey, type ModelJson } from '../checkpoint/checkpoint.js';

const DTYPE_NAMES: Readonly<Record<WeightsDtype, string>> = {
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
};

/** What differs between the configuration of a merge and that of its donor. */
export interface ConfigChanges {
  readonly layers: number;
  /** Layer of the donor's kind that each layer is; absent: as they are. */
  readonly picks: readonly number[] | undefined;
  /** null: as it is. */
  readonly vocabularySize: number | null;
  readonly dtype: WeightsDtype;
  /** false when the result has a head of its own. */
  readonly isTied: boolean | null;
}

/** `config.json` of a merge: the donor's, key for key, but for what the merge changes. */
export function outputConfig(donor: ModelJson, changes: ConfigChanges): ModelJson {
  const { layers, picks, vocabularySize, dtype, isTied } = changes;
  const config: Record<string, unknown> = { ...donor };
  const key = layerKey(donor);
  if (key !== undefined) config[key] = layers;
  const types = donor['layer_types'];
  if (picks && Array.isArray(types)) config['layer_types'] = picks.map((pick) => types[pick] ?? types.at(-1));
  if (vocabularySize !== null) config['vocab_size'] = vocabularySize;
  config['dtype' in donor ? 'dtype' : 'torch_dtype'] = DTYPE_NAMES[dtype];
  if (isTied !== null) config['tie_word_embeddings'] = isTied;
  return config;
}
