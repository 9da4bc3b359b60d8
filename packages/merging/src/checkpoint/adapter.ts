import {
  ADAPTER_CONFIG_FILE,
  ADAPTER_WEIGHTS_FILE,
  directorySource,
  openSafetensors,
  type TensorReader,
} from '@agentforge/model';

/** What an adapter adds to one tensor: `scale` · B · A. */
export interface LowRank {
  /** Where the tensors are. */
  readonly folder: string;
  readonly tensors: Pick<TensorReader, 'place' | 'info'>;
  /** Name of A, [rank, inputs]. */
  readonly a: string;
  /** Name of B, [outputs, rank]. */
  readonly b: string;
  readonly scale: number;
}

/** What PEFT puts before and after the names of a model's tensors. */
const PART = /^base_model\.model\.(.+)\.lora_([AB])\.weight$/;

/** Types that adapters are kept in. */
const TYPES: readonly string[] = ['F32', 'F16', 'BF16'];

/** Settings that change what an adapter adds; with any of them it is refused. */
const OTHER_KINDS = [
  'use_dora',
  'fan_in_fan_out',
  'lora_bias',
  'use_qalora',
  'use_bdlora',
  'alpha_pattern',
  'modules_to_save',
  'layer_replication',
  'target_parameters',
  'trainable_token_indices',
  'alora_invocation_tokens',
  'arrow_config',
  'kasa_config',
] as const;

/**
 * A LoRA adapter in PEFT's layout, read tensor by tensor.
 * @param shapeOf  of a tensor of the model it belongs to; undefined when that has none of the name
 * @returns  what it adds, by tensor of the model; or all that keeps it from being used, for people
 */
export async function openAdapter(
  folder: string,
  shapeOf: (name: string) => readonly number[] | undefined,
): Promise<ReadonlyMap<string, LowRank> | string> {
  const files = directorySource(folder);
  const config = JSON.parse(new TextDecoder().decode(await files.read(ADAPTER_CONFIG_FILE))) as Record<
    string,
    unknown
  >;
  const { peft_type: type, lora_alpha: alpha, r, bias = 'none', use_rslora: isStabilised } = config;
  const problems = OTHER_KINDS.filter((key) => isSet(config[key])).map((key) => `${key} is not supported`);
  if (type !== 'LORA') problems.push(`peft_type is ${JSON.stringify(type)}, not "LORA"`);
  if (bias !== 'none') problems.push('bias is not "none"');
  if (typeof alpha !== 'number' || typeof r !== 'number') problems.push('r or lora_alpha is no number');
  if (problems.length > 0) return `${ADAPTER_CONFIG_FILE}: ${problems.join('; ')}`;
  const tensors = await openSafetensors(files, ADAPTER_WEIGHTS_FILE);
  const parts = new Map<string, { a?: string; b?: string }>();
  for (const name of tensors.names) {
    const [, module, part] = PART.exec(name) ?? [];
    if (module === undefined) problems.push(`${name} is no part of a LoRA of linear layers`);
    else if (!TYPES.includes(tensors.info(name).dtype))
      problems.push(`${name} is ${tensors.info(name).dtype}`);
    else
      parts.set(`${module}.weight`, { ...parts.get(`${module}.weight`), [part === 'A' ? 'a' : 'b']: name });
  }
  const adapters = new Map<string, LowRank>();
  for (const [name, { a, b }] of parts) {
    const [A, B, shape] = [a && tensors.info(a).shape, b && tensors.info(b).shape, shapeOf(name)];
    if (!a || !b || !A || !B) problems.push(`${name} has only one half of an adapter`);
    else if (!shape) problems.push(`the model has no ${name}`);
    else if (A.length !== 2 || `${[B[0], A[1]]}` !== `${shape}` || A[0] !== B[1] || B.length !== 2)
      problems.push(`${name} is [${shape}], its adapter [${B}] · [${A}]`);
    else {
      const rank = A[0] as number;
      const scale = (alpha as number) / (isStabilised === true ? Math.sqrt(rank) : rank);
      adapters.set(name, { folder, tensors, a, b, scale });
    }
  }
  return problems.length > 0 ? `${ADAPTER_WEIGHTS_FILE}: ${problems.slice(0, 8).join('; ')}` : adapters;
}

function isSet(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0;
  return value !== undefined && value !== null && value !== false;
}
