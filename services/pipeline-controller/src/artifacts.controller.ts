import {
  ArtifactService,
  type DownloadArtifactRequest,
  type GetArtifactRequest,
  type GetLineageRequest,
  type ListArtifactsRequest,
  type UploadArtifactRequest,
  type VerifyArtifactRequest,
} from '@agentforge/contracts';
import { type CallContext, GrpcService, type ServiceHandlers } from '@agentforge/service-kit';
import { ArtifactUseCases } from './artifacts.service.js';
import { LineageUseCases } from './lineage.service.js';

/** gRPC edge of artifacts. */
@GrpcService(ArtifactService)
export class ArtifactController implements ServiceHandlers<typeof ArtifactService> {
  constructor(
    private readonly useCases: ArtifactUseCases,
    private readonly lineage: LineageUseCases,
  ) {}

  async getArtifact({ digest }: GetArtifactRequest) {
    return { artifact: await this.useCases.get(digest) };
  }

  async listArtifacts(request: ListArtifactsRequest) {
    return this.useCases.list(request);
  }

  async uploadArtifact(parts: AsyncIterable<UploadArtifactRequest>, call: CallContext) {
    return { ref: await this.useCases.upload(parts, call.signal) };
  }

  async *downloadArtifact({ digest, path }: DownloadArtifactRequest, call: CallContext) {
    for await (const chunk of this.useCases.download(digest, path, call.signal)) yield { chunk };
  }

  async getLineage(request: GetLineageRequest) {
    return this.lineage.get(request);
  }

  async verifyArtifact({ digest }: VerifyArtifactRequest) {
    const { valid, problems, verifiedBytes } = await this.useCases.verify(digest);
    return { valid, problems: [...problems], verifiedBytes };
  }
}
