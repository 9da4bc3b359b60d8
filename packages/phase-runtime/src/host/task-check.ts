import type { StepTask } from '@agentforge/contracts';
import { requireConfig } from '../definition/config-check.js';
import type { PhaseDefinition } from '../definition/phase-definition.js';
import { UnfitTaskError } from './failure.js';

/**
 * Checks that a task is for this phase and feeds its ports.
 * @returns the configuration with defaults filled in
 * @throws UnfitTaskError            INVALID_ARGUMENT: every problem with phase, ports, types, counts and fallback
 * @throws InvalidPhaseConfigError   INVALID_ARGUMENT: every violation of the configuration
 */
export function checkTask(phase: PhaseDefinition, task: StepTask): unknown {
  const problems = [...phaseProblems(phase, task), ...portProblems(phase, task)];
  if (problems.length > 0) throw new UnfitTaskError(problems);
  return requireConfig(phase, task.config ?? {});
}

function* phaseProblems(phase: PhaseDefinition, task: StepTask) {
  if (task.phase !== phase.name) {
    yield { field: 'phase', description: `"${task.phase}" is not "${phase.name}"` };
  }
  if (task.fallback !== '' && task.fallback !== phase.fallback) {
    yield { field: 'fallback', description: `${phase.name} has no fallback "${task.fallback}"` };
  }
}

function* portProblems(phase: PhaseDefinition, task: StepTask) {
  for (const { port } of task.inputs) {
    if (!phase.inputs.some(({ name }) => name === port)) {
      yield { field: `inputs.${port}`, description: 'there is no such port' };
    }
  }
  for (const { name, artifactType, minCount, maxCount } of phase.inputs) {
    const artifacts = task.inputs.filter(({ port }) => port === name).flatMap((input) => input.artifacts);
    if (artifacts.length < minCount || artifacts.length > maxCount) {
      const range = minCount === maxCount ? `${minCount}` : `${minCount} to ${maxCount}`;
      yield { field: `inputs.${name}`, description: `${artifacts.length} artifacts, needs ${range}` };
    }
    for (const [i, { type }] of artifacts.entries()) {
      if (type !== artifactType) {
        yield { field: `inputs.${name}[${i}]`, description: `type "${type}", needs "${artifactType}"` };
      }
    }
  }
}
