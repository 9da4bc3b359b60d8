import { FolderArtifactStore } from '@agentforge/artifacts';
import { SERVICE_CONFIG } from '@agentforge/service-kit';
import { Module } from '@nestjs/common';
import { StoredArtifacts } from './adapters/stored-artifacts.js';
import type { Config } from './config.js';
import { ArtifactReader } from './ports/artifact-reader.port.js';
import { ValidatorsController } from './validators.controller.js';
import { ValidatorsUseCases } from './validators.service.js';

/** Composition root: binds the artifact reader to the artifact store. */
@Module({
  controllers: [ValidatorsController],
  providers: [
    ValidatorsUseCases,
    {
      provide: ArtifactReader,
      inject: [SERVICE_CONFIG],
      useFactory: async ({ artifactDir, artifactMaxBytes }: Config) =>
        new StoredArtifacts(
          await FolderArtifactStore.open({ directory: artifactDir, maxBlobBytes: artifactMaxBytes }),
        ),
    },
  ],
})
export class AppModule {}
