/** What one client may use. */
export interface ClientPolicy {
  /** Calls per second in the long run. */
  readonly callsPerSecond: number;
  /** Calls that may come at once after a pause. */
  readonly burst: number;
  /** Places of the pool that one client may hold while others want some, 0 to 1. */
  readonly share: number;
}

/** Why a call of a client is refused. */
export interface ClientRefusal {
  readonly reason: 'rate' | 'share';
  readonly retryAfterMs: number;
}

interface Bucket {
  tokens: number;
  atMs: number;
  inFlight: number;
}

/** Clients that are remembered; the one that was idle longest is forgotten, which gives it a full bucket again. */
const MAX_CLIENTS = 10_000;
/** Suggested wait of a client that holds its share of the places, ms. */
const SHARE_RETRY_MS = 500;

/**
 * Limits of single clients: a token bucket for the rate, and a share of the places of a pool, so that one client that
 * floods the service is refused and all others are served as before. O(1) for each call; memory is bounded.
 */
export class ClientLimits {
  /** In the order of their last call. */
  readonly #buckets = new Map<string, Bucket>();
  /** Whose bucket is the last one: it need not be moved there. */
  #newest: string | undefined;

  constructor(private readonly policy: ClientPolicy) {}

  /** Clients that are remembered. */
  get size(): number {
    return this.#buckets.size;
  }

  /**
   * Takes a token and a place for a call.
   * @param places  of the pool that the call is served in
   * @returns why not; undefined when the call may be served, and then {@link release} has to follow
   */
  take(client: string, places: number, nowMs: number): ClientRefusal | undefined {
    const bucket = this.#bucketOf(client, nowMs);
    if (bucket.tokens < 1)
      return {
        reason: 'rate',
        retryAfterMs: Math.ceil(((1 - bucket.tokens) / this.policy.callsPerSecond) * 1_000),
      };
    if (bucket.inFlight >= Math.ceil(places * this.policy.share))
      return { reason: 'share', retryAfterMs: SHARE_RETRY_MS };
    bucket.tokens -= 1;
    bucket.inFlight += 1;
    return undefined;
  }

  /** A call of a client ended. */
  release(client: string): void {
    const bucket = this.#buckets.get(client);
    if (bucket) bucket.inFlight -= 1;
  }

  #bucketOf(client: string, nowMs: number): Bucket {
    const { callsPerSecond, burst } = this.policy;
    const known = this.#buckets.get(client);
    const bucket = known ?? { tokens: burst, atMs: nowMs, inFlight: 0 };
    const gained = (Math.max(0, nowMs - bucket.atMs) * callsPerSecond) / 1_000;
    bucket.tokens = Math.min(burst, bucket.tokens + gained);
    bucket.atMs = nowMs;
    if (known === undefined || client !== this.#newest) {
      this.#buckets.delete(client);
      this.#buckets.set(client, bucket);
      this.#newest = client;
      if (this.#buckets.size > MAX_CLIENTS) this.#forget();
    }
    return bucket;
  }

  /** Clients with open calls keep their place: they would be given a second share otherwise. */
  #forget(): void {
    for (const [client, { inFlight }] of this.#buckets) {
      if (inFlight > 0) continue;
      this.#buckets.delete(client);
      return;
    }
  }
}

/** Who a call is from: the address without the port, and the tenant if it names one. */
export function clientOf(peer: string, tenant: string | undefined): string {
  const address = peer.replace(/:\d+$/, '');
  return tenant === undefined ? address : `${address} ${tenant}`;
}
