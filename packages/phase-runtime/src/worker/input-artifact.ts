import type { ArtifactStore } from '@agentforge/artifacts';
import type { ArtifactRef } from '@agentforge/contracts';
import { plain } from './checkpoints.js';
import type { InputArtifact } from './phase-context.js';

/** An artifact of an input port, read from a store. */
export function inputArtifact(artifacts: ArtifactStore, ref: ArtifactRef): InputArtifact {
  return {
    name: ref.name,
    ref,
    bytes: async () => plain(await artifacts.readBytes(ref.digest)),
    manifest: () => artifacts.getManifest(ref.digest),
    file: async (path) => plain(await artifacts.readFile(ref.digest, path)),
  };
}
