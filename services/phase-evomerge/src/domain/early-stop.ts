/** Shares of the tokens after which it is decided whether measuring goes on. */
const LOOKS = [1 / 4, 1 / 2] as const;

/** Mean loss on the first tokens. */
export interface PrefixLoss {
  /** Tokens predicted. */
  readonly tokens: number;
  /** Nats per token. */
  readonly lossNats: number;
}

/** What a candidate is compared with while it is measured: the best parent. */
export interface Reference {
  readonly lossNats: number;
  readonly flopPerToken: number;
  readonly parameters: number;
  /** Absent when there are no tasks. */
  readonly taskAccuracy?: number;
  /** Its losses at the looks. */
  readonly prefixes: readonly PrefixLoss[];
}

/** Measuring ends: the candidate is hopeless. */
export class HopelessSignal extends Error {
  constructor(readonly seen: PrefixLoss) {
    super(`hopeless after ${seen.tokens} tokens`);
  }
}

/**
 * Follows the loss of a candidate while it is measured. One that is worse than the reference on the same first tokens by
 * more than a margin is hopeless. Depends on the data and on the reference only, so everybody who measures stops
 * at the same token.
 */
export class PrefixWatch {
  readonly prefixes: PrefixLoss[] = [];

  /**
   * @param total      tokens that are predicted in all
   * @param reference  absent: nobody is stopped
   * @param margin     nats per token, > 0
   */
  constructor(
    private readonly total: number,
    private readonly reference?: Reference | undefined,
    private readonly margin = Number.POSITIVE_INFINITY,
  ) {}

  /**
   * Takes what was measured so far, after each batch.
   * @throws HopelessSignal  the candidate need not be measured further
   */
  see({ tokens, nats }: { readonly tokens: number; readonly nats: number }): void {
    const look = LOOKS[this.prefixes.length];
    if (look === undefined || tokens < look * this.total || tokens === this.total) return;
    const seen = { tokens, lossNats: nats / tokens };
    const reference = this.reference?.prefixes[this.prefixes.length];
    this.prefixes.push(seen);
    if (reference?.tokens === tokens && seen.lossNats - reference.lossNats > this.margin)
      throw new HopelessSignal(seen);
  }
}

/**
 * Estimate of the whole loss of a candidate that was stopped: as far from the reference as on the first tokens, which tells
 * more than the loss itself, because both have the same easy and hard tokens.
 */
export function estimatedLoss({ tokens, lossNats }: PrefixLoss, reference: Reference): number {
  const same = reference.prefixes.find((prefix) => prefix.tokens === tokens);
  return reference.lossNats + lossNats - (same?.lossNats ?? reference.lossNats);
}
