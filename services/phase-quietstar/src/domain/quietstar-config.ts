import { z } from 'zod';

/** Configuration of the phase. Lengths in tokens. */
export const quietstarConfig = z.strictObject({
  thought_length: z.int().min(1).max(64).default(12).describe('Tokens of a thought, its marks not counted'),
  first_thought_length: z
    .int()
    .min(1)
    .max(64)
    .default(2)
    .describe('Tokens of a thought in the first step; at most thought_length'),
  curriculum: z
    .number()
    .min(0)
    .max(1)
    .default(0.5)
    .describe('Share of the steps over which thoughts grow to their length'),
  ahead: z.int().min(1).max(16).default(4).describe('True tokens that a thought is judged by'),
  thoughts: z
    .int()
    .min(2)
    .max(16)
    .default(2)
    .describe('Thoughts after every token, which are compared with each other'),
  temperature: z
    .number()
    .min(0.1)
    .max(10)
    .default(1)
    .describe('Thoughts are drawn at in training; judged are the likeliest ones'),
  steps: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(200)
    .describe('Optimizer steps, for the thoughts and again for the control'),
  batch_size: z.int().min(1).max(4096).default(8).describe('Rows per batch'),
  sequence_length: z.int().min(4).max(131_072).default(64).describe('Tokens per row'),
  micro_batch: z
    .int()
    .min(1)
    .max(4096)
    .default(2)
    .describe('Rows that are thought about at once; bounds memory'),
  learning_rate: z
    .number()
    .min(1e-8)
    .max(1)
    .default(3e-4)
    .describe('Largest learning rate, reached after the warm-up'),
  min_learning_rate: z.number().min(0).max(1).default(3e-5).describe('Learning rate of the last step'),
  warmup_steps: z
    .int()
    .min(0)
    .max(1_000_000)
    .default(20)
    .describe('Steps of linear warm-up before the cosine'),
  new_lr_scale: z
    .number()
    .min(0.01)
    .max(1000)
    .default(1)
    .describe('Factor of the learning rate for the marks and the mixing head, which begin untrained'),
  beta1: z.number().min(0).max(0.9999).default(0.9).describe('AdamW: decay of the first moment'),
  beta2: z.number().min(0).max(0.99999).default(0.95).describe('AdamW: decay of the second moment'),
  weight_decay: z.number().min(0).max(10).default(0.001).describe('AdamW: decoupled decay of matrices'),
  clip_norm: z.number().min(1e-4).max(1e6).default(1).describe('Largest norm of all gradients together'),
  plain_weight: z
    .number()
    .min(0)
    .max(100)
    .default(0.5)
    .describe('Factor of the loss without thoughts, so that the model stays good where nobody thinks'),
  policy_weight: z.number().min(0).max(1e7).default(1).describe('Factor of REINFORCE'),
  eval_interval: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(25)
    .describe('Steps between two points of the fitness curve'),
  eval_tokens: z
    .int()
    .min(16)
    .max(100_000_000)
    .default(1024)
    .describe('Tokens of the fitness split for such a point'),
  report_tokens: z
    .int()
    .min(16)
    .max(100_000_000)
    .default(8192)
    .describe('Tokens of the report split that judge'),
  bootstrap: z
    .int()
    .min(100)
    .max(100_000)
    .default(2000)
    .describe('Resamples of rows for the interval of the gain'),
  confidence: z.number().min(0.5).max(0.999).default(0.95).describe('Coverage of that interval'),
  min_correlation: z
    .number()
    .min(-1)
    .max(1)
    .default(0.5)
    .describe('Correlation of coherence and utility that thoughts must exceed'),
  checkpoint_interval_s: z
    .number()
    .min(1)
    .max(30)
    .default(15)
    .describe('Seconds of work between two checkpoints'),
});

/** A checked configuration. */
export type QuietstarConfig = z.output<typeof quietstarConfig>;

/** One thing wrong with a configuration. */
export interface ConfigViolation {
  readonly field: string;
  readonly description: string;
}

/** Rules that span fields. */
export function checkQuietstarConfig(config: QuietstarConfig): ConfigViolation[] {
  const violations: ConfigViolation[] = [];
  const atMost = (field: keyof QuietstarConfig, other: keyof QuietstarConfig) => {
    if (config[field] <= config[other]) return;
    violations.push({
      field,
      description: `is ${config[field]}; must be at most ${other} (${config[other]})`,
    });
  };
  atMost('first_thought_length', 'thought_length');
  atMost('warmup_steps', 'steps');
  atMost('min_learning_rate', 'learning_rate');
  if (config.ahead >= config.sequence_length) {
    violations.push({
      field: 'ahead',
      description: `is ${config.ahead}; must be below sequence_length (${config.sequence_length})`,
    });
  }
  return violations;
}

/** Positions that a row of tokens takes with its longest thoughts. */
export function positionsOf(length: number, { thought_length, ahead }: QuietstarConfig): number {
  return length + thought_length + ahead + 1;
}

/**
 * Tokens of a thought at a step: grows evenly from the first length to the last one over the share of the steps that the
 * curriculum takes.
 * @param step  from 0
 */
export function thoughtLengthAt(config: QuietstarConfig, step: number): number {
  const { first_thought_length: first, thought_length: last, curriculum, steps } = config;
  const over = curriculum * steps;
  const share = over === 0 ? 1 : Math.min(1, step / over);
  return first + Math.floor(share * (last - first));
}

/** Parameters of a model whose size is not known before its artifact is read: the `pico` preset. */
const ASSUMED_PARAMETERS = 2_000_000;

/** What a configuration takes, for a model of the smallest preset; larger ones scale in proportion. */
export function estimateQuietstar(config: QuietstarConfig) {
  const { thought_length, ahead, thoughts, steps, batch_size, sequence_length, micro_batch } = config;
  const blocks = thought_length + ahead + 2;
  const columns = batch_size * sequence_length * blocks;
  const atOnce = thoughts * Math.min(micro_batch, batch_size) * sequence_length * blocks;
  // Activations of pico: 3 layers of 16 · 256 + 4 · 512 values, and four copies of 1024 logits.
  const perColumn = 3 * (16 * 256 + 4 * 512) + 4 * 1024;
  return {
    parameters: ASSUMED_PARAMETERS,
    memoryBytes: 4 * (ASSUMED_PARAMETERS * 7 + atOnce * perColumn),
    // 2 N per column drawn and 6 N per column trained (Kaplan et al. 2020, arXiv:2001.08361 §2.1); the control draws nothing.
    flop: steps * columns * ASSUMED_PARAMETERS * (8 * thoughts + 6),
  };
}
