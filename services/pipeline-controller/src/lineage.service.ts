import { ArtifactStore } from '@agentforge/artifacts';
import {
  ArtifactRefSchema,
  type GetLineageRequest,
  LineageDirection,
  LineageEdgeSchema,
  type LineageNode,
  LineageNodeSchema,
} from '@agentforge/contracts';
import { type RunRecord, stepOf, stepSeedOf } from '@agentforge/events';
import { create } from '@bufbuild/protobuf';
import { Injectable } from '@nestjs/common';
import { checkDigest } from './artifacts.service.js';
import { encodePageToken } from './domain/page-token.js';
import { type WalkedEdge, walkLineage } from './domain/walk-lineage.js';
import { ArtifactNotFoundError, InvalidRequestError } from './pipeline-controller.errors.js';
import type { LineageStep } from './projection/lineage-index.js';
import { ReadModel } from './projection/read-model.js';
import { checkPageToken, pageSizeViolations } from './queries.js';

const PAGE = { standard: 200, most: 1_000 };
const DEPTH = { standard: 16, most: 64 };
/** Edges that one walk visits at most; a larger graph ends there. */
const MAX_EDGES = 100_000;

type Edge = WalkedEdge<LineageStep>;

/** Follows artifacts to what they were made from, or to what was made from them. */
@Injectable()
export class LineageUseCases {
  constructor(
    private readonly store: ArtifactStore,
    private readonly readModel: ReadModel,
  ) {}

  /** One page of the graph, nearest first. @throws NOT_FOUND, INVALID_ARGUMENT */
  async get(request: GetLineageRequest) {
    const { digest, maxDepth, pageSize, pageToken } = request;
    checkDigest(digest);
    const violations = [...pageSizeViolations(pageSize, PAGE), ...depthViolations(maxDepth)];
    if (violations.length > 0) throw new InvalidRequestError(violations);
    const { lineage, artifacts } = this.readModel;
    const direction = request.direction === LineageDirection.DOWNSTREAM ? 'down' : 'up';
    const stepsOf = (of: string) => (direction === 'up' ? lineage.makersOf(of) : lineage.readersOf(of));
    if (!artifacts.get(digest) && stepsOf(digest).length === 0 && !(await this.store.stat(digest)))
      throw new ArtifactNotFoundError(digest);
    const query = ['lineage', digest, direction, String(maxDepth)];
    const begin = checkPageToken(query, pageToken)?.offset ?? 0;
    const end = begin + (pageSize || PAGE.standard);
    const earlier = new Set<string>(begin === 0 ? [] : [digest]);
    const page: Edge[] = [];
    let at = 0;
    let hasMore = false;
    for (const edge of walkLineage(digest, direction, maxDepth || DEPTH.standard, stepsOf)) {
      if (at === end || at === MAX_EDGES) {
        hasMore = at < MAX_EDGES;
        break;
      }
      if (at++ >= begin) page.push(edge);
      else earlier.add(edge.from).add(edge.to);
    }
    return {
      nodes: await this.#nodes(begin === 0 ? digest : undefined, page, earlier),
      edges: page.map(({ from, to, port }) => create(LineageEdgeSchema, { from, to, port })),
      nextPageToken: hasMore ? encodePageToken(query, { sequence: 0n, offset: end }) : '',
    };
  }

  /** The nodes that edges name and no earlier page had. */
  async #nodes(first: string | undefined, page: readonly Edge[], earlier: Set<string>) {
    const nodes: LineageNode[] = [];
    const addArtifact = (digest: string) => {
      if (earlier.has(digest)) return;
      earlier.add(digest);
      const value = this.readModel.artifacts.get(digest)?.ref ?? create(ArtifactRefSchema, { digest });
      nodes.push(create(LineageNodeSchema, { id: digest, node: { case: 'artifact', value } }));
    };
    if (first !== undefined) addArtifact(first);
    for (const { step, digest } of page) {
      if (!earlier.has(step.id)) {
        earlier.add(step.id);
        nodes.push(toStepNode(step, await this.readModel.run(step.run)));
      }
      addArtifact(digest);
    }
    return nodes;
  }
}

function toStepNode({ id, run, step: stepId }: LineageStep, record: RunRecord | undefined): LineageNode {
  const step = record && stepOf(record, stepId);
  const value = {
    run,
    stepId,
    ...(record && step
      ? {
          phase: step.spec.phase,
          phaseVersion: step.attempts.at(-1)?.phaseVersion ?? '',
          config: step.spec.config ?? {},
          seed: stepSeedOf(record.seed, step.spec),
          fallback: step.fallback,
          sourceRun: step.cachedFrom?.sourceRun ?? '',
          sourceStepId: step.cachedFrom?.sourceStepId ?? '',
        }
      : {}),
  };
  return create(LineageNodeSchema, { id, node: { case: 'step', value } });
}

const depthViolations = (maxDepth: number) =>
  maxDepth >= 0 && maxDepth <= DEPTH.most
    ? []
    : [
        {
          field: 'max_depth',
          description: `is ${maxDepth}; must be 1 to ${DEPTH.most}, or 0 for ${DEPTH.standard}`,
        },
      ];
