import type { ArtifactRef } from '@agentforge/contracts';

/** Bytes of artifacts by the project that stored them first; content that is stored again counts once. */
export class ProjectBytes {
  readonly #owners = new Map<string, string>();
  readonly #bytes = new Map<string, number>();

  /** Takes in an artifact. @param project  empty when nobody said whose it is: it counts for nobody */
  add(project: string, { digest, sizeBytes }: Pick<ArtifactRef, 'digest' | 'sizeBytes'>): void {
    if (project === '' || this.#owners.has(digest)) return;
    this.#owners.set(digest, project);
    this.#bytes.set(project, this.of(project) + Number(sizeBytes));
  }

  /** Bytes that count for a project. */
  of(project: string): number {
    return this.#bytes.get(project) ?? 0;
  }

  /** The project that content counts for; empty for none. */
  ownerOf(digest: string): string {
    return this.#owners.get(digest) ?? '';
  }
}
