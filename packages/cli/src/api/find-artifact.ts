import type { Artifact, ArtifactService } from '@agentforge/contracts';
import type { Client } from '@agentforge/service-kit';
import { UsageError } from '../errors.js';

const FULL = /^sha256:[0-9a-f]{64}$/;
const PREFIX = /^(sha256:)?[0-9a-f]{6,64}$/;
/** Most artifacts that are looked through for the beginning of a digest. */
const MAX_LOOKED_AT = 10_000;

/** Whether a text is a digest or the beginning of one, at least six digits long. */
export function isDigestLike(text: string): boolean {
  return PREFIX.test(text);
}

/**
 * The artifact that a digest, or the beginning of one, names.
 * @throws UsageError INVALID_ARGUMENT: no digest, none begins so, or several do; they are listed
 */
export async function findArtifact(client: Client<typeof ArtifactService>, text: string): Promise<Artifact> {
  if (!isDigestLike(text)) throw new UsageError(`"${text}" is not a digest (sha256:… or its first digits)`);
  const wanted = text.startsWith('sha256:') ? text : `sha256:${text}`;
  const digest = FULL.test(wanted) ? wanted : await complete(client, wanted);
  const { artifact } = await client.getArtifact({ digest });
  if (!artifact) throw new UsageError(`no artifact has the digest ${digest}`);
  return artifact;
}

async function complete(client: Client<typeof ArtifactService>, prefix: string): Promise<string> {
  const found = new Set<string>();
  let pageToken = '';
  let seen = 0;
  do {
    const page = await client.listArtifacts({ pageSize: 1_000, pageToken });
    for (const { ref } of page.artifacts) if (ref?.digest.startsWith(prefix)) found.add(ref.digest);
    seen += page.artifacts.length;
    pageToken = page.nextPageToken;
  } while (pageToken !== '' && seen < MAX_LOOKED_AT);
  const [digest, ...others] = [...found];
  if (digest === undefined) throw new UsageError(`no artifact's digest begins with ${prefix}`);
  if (others.length > 0) throw new UsageError(`${prefix} is ambiguous: ${[...found].join(', ')}`);
  return digest;
}
