/** What one client may use. */
export interface ClientPolicy {
  /** Calls per second in the long run. */
  readonly callsPerSecond: number;
  /** Calls that may come at once after a pause. */
  readonly burst: number;
  /** Places of the pool that one client may hold while others want some, 0 to 1. */
  readonly share: number;
  /** Times all of this that the clients behind one address may use together, at least 1. */
  readonly clientsPerAddress: number;
}

/** Who a call is from. */
export interface Caller {
  /** Without the port. */
  readonly address: string;
  /** The address and the tenant; that is a claim of the caller, which nobody has proved. */
  readonly client: string;
}

/** Why a call of a client is refused. */
export interface ClientRefusal {
  /** Whether the client itself uses too much, or the clients of its address do together. */
  readonly who: 'client' | 'address';
  readonly reason: 'rate' | 'share';
  readonly retryAfterMs: number;
}

interface Bucket {
  tokens: number;
  atMs: number;
  inFlight: number;
}

/** What the calls of one bucket may use. */
interface Allowance {
  readonly callsPerSecond: number;
  readonly burst: number;
  /** Places that its calls may hold, of as many. */
  placesOf(places: number): number;
}

/** Buckets that are remembered; the one that was idle longest is forgotten, and will be a full one again. */
const MAX_BUCKETS = 10_000;
/** Suggested wait of a client that holds its share of the places, ms. */
const SHARE_RETRY_MS = 500;

/**
 * Limits of single clients: a token bucket for the rate, and a share of the places of a pool, so that one client that
 * floods the service is refused and all others are served as before. A client is an address and a tenant. Anybody may
 * claim to be any tenant, so that the clients of one address have a limit together, too, which leaves places to those of
 * other addresses. O(1) for each call; memory is bounded.
 */
export class ClientLimits {
  readonly #clients: Buckets;
  readonly #addresses: Buckets;

  constructor({ callsPerSecond, burst, share, clientsPerAddress }: ClientPolicy) {
    const placesOf = (places: number) => Math.ceil(places * share);
    // At least half of what one client leaves to others stays with other addresses.
    const addressShare = Math.min(share * clientsPerAddress, (1 + share) / 2);
    this.#clients = new Buckets({ callsPerSecond, burst, placesOf });
    this.#addresses = new Buckets({
      callsPerSecond: callsPerSecond * clientsPerAddress,
      burst: burst * clientsPerAddress,
      placesOf: (places) => Math.max(placesOf(places), Math.floor(places * addressShare)),
    });
  }

  /** Buckets of clients and of addresses that are remembered. */
  get size(): number {
    return this.#clients.size + this.#addresses.size;
  }

  /**
   * Takes a token and a place for a call.
   * @param places  of the pool that the call is served in
   * @returns why not; undefined when the call may be served, and then {@link release} has to follow
   */
  take(caller: Caller, places: number, nowMs: number): ClientRefusal | undefined {
    // The address first: a flood of ever new tenants makes no buckets of clients once it is refused.
    const address = this.#addresses.of(caller.address, nowMs);
    const ofAddress = this.#addresses.refusalOf(address, places);
    if (ofAddress) return { who: 'address', ...ofAddress };
    const client = this.#clients.of(caller.client, nowMs);
    const ofClient = this.#clients.refusalOf(client, places);
    if (ofClient) return { who: 'client', ...ofClient };
    for (const bucket of [address, client]) {
      bucket.tokens -= 1;
      bucket.inFlight += 1;
    }
    return undefined;
  }

  /** A call ended. */
  release(caller: Caller): void {
    this.#addresses.release(caller.address);
    this.#clients.release(caller.client);
  }
}

/** The buckets of all clients, or of all addresses. */
class Buckets {
  /** In the order of their last call. */
  readonly #buckets = new Map<string, Bucket>();
  /** Whose bucket is the last one: it need not be moved there. */
  #newest: string | undefined;

  constructor(private readonly allowance: Allowance) {}

  get size(): number {
    return this.#buckets.size;
  }

  /** The bucket of a key, filled up to now. */
  of(key: string, nowMs: number): Bucket {
    const { callsPerSecond, burst } = this.allowance;
    const known = this.#buckets.get(key);
    const bucket = known ?? { tokens: burst, atMs: nowMs, inFlight: 0 };
    const gained = (Math.max(0, nowMs - bucket.atMs) * callsPerSecond) / 1_000;
    bucket.tokens = Math.min(burst, bucket.tokens + gained);
    bucket.atMs = nowMs;
    if (known === undefined || key !== this.#newest) {
      this.#buckets.delete(key);
      this.#buckets.set(key, bucket);
      this.#newest = key;
      if (this.#buckets.size > MAX_BUCKETS) this.#forget();
    }
    return bucket;
  }

  /** Why another call may not be served now. */
  refusalOf({ tokens, inFlight }: Bucket, places: number): Omit<ClientRefusal, 'who'> | undefined {
    const { callsPerSecond, placesOf } = this.allowance;
    if (tokens < 1)
      return { reason: 'rate', retryAfterMs: Math.ceil(((1 - tokens) / callsPerSecond) * 1_000) };
    return inFlight < placesOf(places) ? undefined : { reason: 'share', retryAfterMs: SHARE_RETRY_MS };
  }

  release(key: string): void {
    const bucket = this.#buckets.get(key);
    if (bucket) bucket.inFlight -= 1;
  }

  /** Those with open calls keep their place: they would be given a second share otherwise. */
  #forget(): void {
    for (const [key, { inFlight }] of this.#buckets) {
      if (inFlight > 0) continue;
      this.#buckets.delete(key);
      return;
    }
  }
}

/** Who a call is from, by the address with its port, and the tenant if it names one. */
export function callerOf(peer: string, tenant: string | undefined): Caller {
  const address = peer.replace(/:\d+$/, '');
  return { address, client: tenant === undefined ? address : `${address} ${tenant}` };
}
