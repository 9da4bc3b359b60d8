import type { ArtifactStore } from '@agentforge/artifacts';
import { ArtifactReader, type ModelFiles } from '../ports/artifact-reader.port.js';
import { type StreamedFile, StreamSource } from './stream-source.js';

/** Artifacts of the artifact store. */
export class StoredArtifacts extends ArtifactReader {
  constructor(private readonly store: ArtifactStore) {
    super();
  }

  async verify(digest: string): Promise<readonly string[]> {
    return (await this.store.verify(digest)).problems;
  }

  async model(digest: string): Promise<ModelFiles> {
    const { files } = await this.store.getManifest(digest);
    const streams = files.map(({ path, sizeBytes, digest: blob }): [string, StreamedFile] => [
      path,
      { sizeBytes: Number(sizeBytes), open: () => this.store.open(blob) },
    ]);
    return {
      source: new StreamSource(new Map(streams)),
      digests: new Map(files.map((file) => [file.path, file.digest])),
    };
  }

  open(digest: string): AsyncIterable<Uint8Array> {
    return this.store.open(digest);
  }

  readText(digest: string, maxBytes: number): Promise<string> {
    return this.store.readText(digest, { maxBytes });
  }
}
