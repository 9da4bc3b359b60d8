import { z } from 'zod';

/** Where artifacts are and how large they may be: entries for a service's settings. */
export function artifactSettings() {
  return {
    artifactDir: {
      env: 'FORGE_ARTIFACT_DIR',
      schema: z.string().min(1),
      default: '.forge/artifacts',
      description: 'Folder of the artifact store; the same for all services',
    },
    artifactMaxBytes: {
      env: 'FORGE_ARTIFACT_MAX_BYTES',
      schema: z.coerce.number().int().min(1),
      default: 64 * 2 ** 30,
      unit: 'bytes',
      description: 'Largest single blob that the store accepts',
    },
  };
}
