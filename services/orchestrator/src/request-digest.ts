import { createHash } from 'node:crypto';
import { GraphSpecSchema, type StartExecutionRequest } from '@agentforge/contracts';
import { type JsonValue, toJson } from '@bufbuild/protobuf';

/** Digest of what a run was asked to be, whatever the order of map entries: equal requests have equal digests. */
export function digestOfRequest(request: StartExecutionRequest): string {
  const { displayName, labels, graph } = request;
  const content = { displayName, labels, graph: graph ? toJson(GraphSpecSchema, graph) : null };
  return `sha256:${createHash('sha256').update(sorted(content)).digest('hex')}`;
}

/** JSON text with sorted keys. */
function sorted(value: JsonValue): string {
  return JSON.stringify(value, (_, part: JsonValue) =>
    part !== null && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
