/** When a project stored content: by time, then by place within what was written then. */
export interface ClaimPlace {
  readonly timeMs: number;
  readonly offset: number;
}

interface Claim extends ClaimPlace {
  readonly project: string;
  readonly bytes: number;
}

/**
 * Bytes of artifacts by the project that stored them first; content that is stored again counts once. It does not
 * matter in which order it is told: a replay, a snapshot and any replica come to the same owners.
 */
export class ProjectBytes {
  readonly #claims = new Map<string, Claim>();
  readonly #bytes = new Map<string, number>();

  /** Takes in an artifact. @param project  empty when nobody said whose it is: it counts for nobody */
  add(
    project: string,
    { digest, sizeBytes }: { readonly digest: string; readonly sizeBytes: bigint | number },
    { timeMs, offset }: ClaimPlace,
  ): void {
    const known = this.#claims.get(digest);
    const claim = { project, bytes: Number(sizeBytes), timeMs, offset };
    if (project === '' || (known && !isBefore(claim, known))) return;
    if (known) this.#count(known.project, -known.bytes);
    this.#claims.set(digest, claim);
    this.#count(project, claim.bytes);
  }

  /** Bytes that count for a project. */
  of(project: string): number {
    return this.#bytes.get(project) ?? 0;
  }

  /** The project that content counts for; empty for none. */
  ownerOf(digest: string): string {
    return this.#claims.get(digest)?.project ?? '';
  }

  #count(project: string, bytes: number): void {
    this.#bytes.set(project, this.of(project) + bytes);
  }
}

const isBefore = (a: Claim, b: Claim): boolean =>
  a.timeMs !== b.timeMs
    ? a.timeMs < b.timeMs
    : a.offset !== b.offset
      ? a.offset < b.offset
      : a.project < b.project;
