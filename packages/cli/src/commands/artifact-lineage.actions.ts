import {
  GetLineageResponseSchema,
  LineageDirection,
  type LineageEdge,
  type LineageNode,
} from '@agentforge/contracts';
import { create, toJson } from '@bufbuild/protobuf';
import { findArtifact } from '../api/find-artifact.js';
import { UsageError } from '../errors.js';
import type { Style } from '../output/style.js';
import { shortDigest } from '../output/units.js';
import { printable } from '../output/width.js';
import type { Session } from '../session.js';

/** Most edges that are fetched and drawn. */
const MAX_EDGES = 2_000;

/** Which way, and how far. */
export interface LineageOptions {
  readonly up?: boolean;
  readonly down?: boolean;
  readonly depth: number;
}

/** Shows what an artifact was made from, or what was made from it, as a tree. */
export async function showLineage(session: Session, options: LineageOptions, digest: string): Promise<void> {
  if (options.up && options.down) throw new UsageError('--up and --down exclude each other; ask twice');
  const client = await session.artifacts();
  const root = /^sha256:[0-9a-f]{64}$/.test(digest)
    ? digest
    : (await findArtifact(client, digest)).ref?.digest;
  if (root === undefined) throw new UsageError(`no artifact has the digest ${digest}`);
  const direction = options.down ? LineageDirection.DOWNSTREAM : LineageDirection.UPSTREAM;
  const nodes: LineageNode[] = [];
  const edges: LineageEdge[] = [];
  let pageToken = '';
  do {
    const request = { digest: root, direction, maxDepth: options.depth, pageSize: 1_000, pageToken };
    const page = await client.getLineage(request);
    nodes.push(...page.nodes);
    edges.push(...page.edges);
    pageToken = page.nextPageToken;
  } while (pageToken !== '' && edges.length < MAX_EDGES);
  if (pageToken !== '') session.remark(`only the nearest ${edges.length} edges are shown`);
  await session.print({
    value: toJson(GetLineageResponseSchema, create(GetLineageResponseSchema, { nodes, edges })),
    names: nodes.flatMap(({ id, node }) => (node.case === 'artifact' ? [id] : [])),
    table: (style) => drawLineage(root, nodes, edges, options.down === true, style),
  });
}

/** A tree from one artifact. What was drawn above is named again, and not followed again. */
export function drawLineage(
  root: string,
  nodes: readonly LineageNode[],
  edges: readonly LineageEdge[],
  isDown: boolean,
  style: Style,
): string {
  const labels = new Map(nodes.map((node) => [node.id, labelOf(node, style)]));
  const next = new Map<string, { readonly id: string; readonly port: string }[]>();
  for (const { from, to, port } of edges) {
    const [near, far] = isDown ? [from, to] : [to, from];
    next.set(near, [...(next.get(near) ?? []), { id: far, port }]);
  }
  const drawn = new Set<string>();
  const lines: string[] = [];
  const draw = (id: string, port: string, lead: string, branch: string, indent: string): void => {
    const isKnown = drawn.has(id);
    drawn.add(id);
    const children = next.get(id) ?? [];
    const again = isKnown && children.length > 0 ? style.dim(' (above)') : '';
    const label = labels.get(id) ?? printable(id);
    lines.push(`${lead}${branch}${port ? style.dim(`${printable(port)} `) : ''}${label}${again}`);
    if (isKnown) return;
    children.forEach((child, i) => {
      const isLast = i === children.length - 1;
      draw(child.id, child.port, `${lead}${indent}`, isLast ? '└─ ' : '├─ ', isLast ? '   ' : '│  ');
    });
  };
  draw(root, '', '', '', '');
  return lines.join('\n');
}

function labelOf({ id, node }: LineageNode, style: Style): string {
  if (node.case === 'artifact') {
    const { type, name } = node.value;
    return [shortDigest(id), type, name]
      .filter((part) => part !== '')
      .map(printable)
      .join('  ');
  }
  if (node.case !== 'step') return printable(id);
  const { run, stepId, phase, phaseVersion, seed, fallback, sourceRun, sourceStepId } = node.value;
  const facts = [
    `${phase}${phaseVersion ? ` ${phaseVersion}` : ''}`,
    `seed ${seed}`,
    fallback ? `fallback ${fallback}` : '',
    sourceRun ? `result of ${sourceStepId} in ${sourceRun}` : '',
  ].filter((fact) => fact !== '');
  const place = run.replace(/^projects\//, '').replace('/runs/', '/');
  return `${style.bold(printable(`${place} ${stepId}`))}  ${style.dim(printable(facts.join(' · ')))}`;
}
