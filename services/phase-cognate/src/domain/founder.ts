/** How well a model predicts one split. */
export interface SplitLoss {
  /** Nats per token. */
  readonly lossNats: number;
  readonly bitsPerByte: number;
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
