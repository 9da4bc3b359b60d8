import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FieldViolation } from '@agentforge/errors';
import { Philox } from '@agentforge/tensor';
import { z } from 'zod';
import type { FileSource } from '../files/file-source.js';
import { MalformedModelFileError } from '../files/files.errors.js';
import type { LlamaModel } from '../llama/llama-model.js';
import { openSafetensors } from '../safetensors/reader.js';
import { writeSafetensors } from '../safetensors/writer.js';
import { InvalidAdapterError } from './adapters.errors.js';
import { attachLora, type LoraAdapter, removeLora } from './lora.js';
import { PROJECTIONS, type Projection } from './projections.js';

/** File names of an adapter in PEFT's layout. */
export const ADAPTER_CONFIG_FILE = 'adapter_config.json';
export const ADAPTER_WEIGHTS_FILE = 'adapter_model.safetensors';

/** What PEFT puts before the names of the model. */
const PREFIX = 'base_model.model.';

const off = (what: string) => z.literal([false, null], `${what} is not supported, must be false`).optional();
const none = (what: string) =>
  z
    .union(
      [z.null(), z.array(z.unknown()).length(0), z.record(z.string(), z.never())],
      `${what} is not supported, must be empty`,
    )
    .optional();

/** The part of `adapter_config.json` that a plain LoRA uses; anything else that would change it is refused by name. */
const configSchema = z.looseObject({
  peft_type: z.literal('LORA', 'must be "LORA"'),
  r: z.int(),
  lora_alpha: z.number(),
  lora_dropout: z.number().nullish(),
  target_modules: z.union(
    [z.literal('all-linear'), z.array(z.enum(PROJECTIONS)).min(1)],
    `must be "all-linear" or a list of ${PROJECTIONS.join(', ')}`,
  ),
  bias: z.literal('none', 'must be "none"').default('none'),
  fan_in_fan_out: off('fan_in_fan_out'),
  use_rslora: off('rank-stabilised LoRA'),
  use_dora: off('DoRA'),
  modules_to_save: none('modules_to_save'),
  layers_to_transform: none('layers_to_transform'),
  rank_pattern: none('rank_pattern'),
  alpha_pattern: none('alpha_pattern'),
  exclude_modules: none('exclude_modules'),
  target_parameters: none('target_parameters'),
  trainable_token_indices: none('trainable_token_indices'),
  layer_replication: none('layer_replication'),
  alora_invocation_tokens: none('activated LoRA'),
  arrow_config: none('Arrow'),
  kasa_config: none('KaSA'),
  lora_bias: off('lora_bias'),
  use_qalora: off('QALoRA'),
  use_bdlora: off('BD-LoRA'),
});

/**
 * Writes an adapter as PEFT does: adapter_config.json and adapter_model.safetensors (f32). Files appear complete or
 * not at all. Same adapter, same bytes.
 * @param base  name or path of the model it belongs to, for the reader; default none
 */
export async function saveLora(
  directory: string,
  adapter: LoraAdapter,
  { base = null }: { readonly base?: string | null } = {},
): Promise<void> {
  const parameters = new Map([...adapter.namedParameters()].map(([name, x]) => [PREFIX + name, x]));
  const shapes = new Map(
    [...parameters].map(([name, { shape }]) => [name, { dtype: 'F32' as const, shape }]),
  );
  const config = {
    base_model_name_or_path: base,
    bias: 'none',
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    lora_alpha: adapter.alpha,
    lora_dropout: adapter.dropout,
    modules_to_save: null,
    peft_type: 'LORA',
    r: adapter.rank,
    target_modules: [...adapter.targets].sort(),
    task_type: 'CAUSAL_LM',
    use_dora: false,
    use_rslora: false,
  };
  await mkdir(directory, { recursive: true });
  const draft = join(directory, `${ADAPTER_CONFIG_FILE}.${randomUUID()}.tmp`);
  try {
    await writeFile(draft, `${JSON.stringify(config, null, 2)}\n`);
    await writeSafetensors(
      join(directory, ADAPTER_WEIGHTS_FILE),
      shapes,
      (name) => parameters.get(name)?.toFloat32Array() ?? new Float32Array(0),
    );
    await rename(draft, join(directory, ADAPTER_CONFIG_FILE));
  } finally {
    await rm(draft, { force: true });
  }
}

/**
 * Puts an adapter in PEFT's layout on a model, which is frozen but for it. The model is unchanged when that fails.
 * @param rng  draws the dropout of further training, where the settings have one; not advanced. Default Philox(0)
 * @throws ModelFileMissingError  NOT_FOUND
 * @throws MalformedModelFileError, InvalidAdapterError, InvalidSafetensorsError  INVALID_ARGUMENT: settings this
 *         adapter does not have, and every tensor that is missing, unexpected or of another shape
 */
export async function loadLora(
  model: LlamaModel,
  source: FileSource,
  { rng = new Philox(0) }: { readonly rng?: Philox } = {},
): Promise<LoraAdapter> {
  const { r: rank, lora_alpha: alpha, lora_dropout, target_modules } = await readConfig(source);
  const targets: readonly Projection[] = target_modules === 'all-linear' ? PROJECTIONS : target_modules;
  const reader = await openSafetensors(source, ADAPTER_WEIGHTS_FILE);
  const values = new Map<string, Float32Array>();
  for (const name of reader.names) values.set(name, await reader.readF32(name));
  const adapter = attachLora(model, { rank, alpha, targets, dropout: lora_dropout ?? 0 }, rng);
  const violations: FieldViolation[] = [];
  const parameters = new Map([...adapter.namedParameters()].map(([name, x]) => [PREFIX + name, x]));
  for (const [field, { shape }] of parameters) {
    if (!reader.has(field)) violations.push({ field, description: 'is missing' });
    else if (reader.info(field).shape.join() !== shape.join()) {
      violations.push({
        field,
        description: `has shape [${reader.info(field).shape}], the model needs [${shape}]`,
      });
    }
  }
  for (const field of reader.names) {
    if (!parameters.has(field)) violations.push({ field, description: 'is not a part of this adapter' });
  }
  if (violations.length > 0) {
    removeLora(model, adapter);
    throw new InvalidAdapterError(ADAPTER_WEIGHTS_FILE, violations);
  }
  for (const [name, parameter] of parameters) parameter.write(values.get(name) ?? new Float32Array(0));
  return adapter;
}

async function readConfig(source: FileSource): Promise<z.infer<typeof configSchema>> {
  const bytes = await source.read(ADAPTER_CONFIG_FILE);
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new MalformedModelFileError(ADAPTER_CONFIG_FILE, error);
  }
  const result = configSchema.safeParse(json);
  if (result.success) return result.data;
  throw new InvalidAdapterError(
    ADAPTER_CONFIG_FILE,
    result.error.issues.map(({ path, message }) => ({ field: path.join('.'), description: message })),
  );
}
