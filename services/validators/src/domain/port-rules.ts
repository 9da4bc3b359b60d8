import { artifactsOf, type PortArtifacts, type PortFacts } from './subject.js';
import { type Finding, type Judgement, judgement } from './verdict.js';

const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** Whether artifacts fit the ports of a phase: names, counts, types, digests. @param side  "inputs" or "outputs" */
export function judgePorts(
  side: 'inputs' | 'outputs',
  ports: readonly PortFacts[],
  given: readonly PortArtifacts[],
): Judgement {
  const errors: Finding[] = [];
  for (const { port } of given)
    if (!ports.some(({ name }) => name === port)) {
      const known = ports.map(({ name }) => name).join(', ') || 'none';
      errors.push({ field: `${side}.${port}`, description: `is no port of the phase; known: ${known}` });
    }
  for (const port of ports) {
    const field = `${side}.${port.name}`;
    const artifacts = artifactsOf(given, port.name);
    if (artifacts.length < port.minCount || artifacts.length > port.maxCount)
      errors.push({
        field,
        description: `has ${artifacts.length} artifacts; must have ${port.minCount} to ${port.maxCount}`,
      });
    artifacts.forEach(({ digest, type }, i) => {
      if (type !== port.artifactType)
        errors.push({
          field: `${field}[${i}].type`,
          description: `is "${type}"; must be "${port.artifactType}"`,
        });
      if (!DIGEST.test(digest))
        errors.push({ field: `${field}[${i}].digest`, description: `is malformed: ${digest.slice(0, 80)}` });
    });
  }
  return judgement(`${side === 'inputs' ? 'input' : 'output'}-ports`, { errors });
}
