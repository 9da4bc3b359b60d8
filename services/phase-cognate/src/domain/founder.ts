/** How well a model predicts one split. */
export interface SplitLoss {
  /** Nats per token. */
  readonly lossNats: number;
  readonly bitsPerByte: number;
  /** With recursion: supervision steps per position until it halted. */
  readonly ponderSteps?: number | undefined;
  /** With recursion: share of positions that halted. */
  readonly haltedShare?: number | undefined;
}

/** Losses of one model by split; `train` is measured on a sample as long as the report split. */
export type SplitLosses = Readonly<Record<'train' | 'fitness' | 'report', SplitLoss>>;

/** A finished model. */
export interface Founder {
  /** Its files in Hugging Face layout, stored, by path. */
  readonly files: ReadonlyMap<string, { readonly digest: string; readonly sizeBytes: bigint }>;
  readonly losses: SplitLosses;
  readonly weights: ReadonlyMap<string, Float32Array>;
}
