import { createHash } from 'node:crypto';
import { parseRunName, type StepTask } from '@agentforge/contracts';
import type { Events } from '@agentforge/events';
import type { RuntimeOptions } from '../host/runtime-options.js';

/** Longest wait for earlier answers: after it everything is computed. */
const RECALL_MS = 1_000;

/** What keeping answers needs. */
export interface KeptAnswersDependencies {
  readonly phase: { readonly name: string; readonly version: string };
  readonly events: Pick<Events, 'answers'>;
  readonly options: Pick<RuntimeOptions, 'backend' | 'threads' | 'keepsAnswers'>;
}

/**
 * Earlier answers to the subtasks of a step, of any run of its project. The key of an answer covers all that it depends on,
 * so finding one changes nothing but the time that is spent.
 */
export class KeptAnswers {
  private readonly project: string | undefined;

  constructor(
    private readonly deps: KeptAnswersDependencies,
    task: StepTask,
  ) {
    this.project = deps.options.keepsAnswers ? parseRunName(task.run)?.project : undefined;
  }

  /** Earlier answers by index. @param keys  of the subtasks; undefined for one whose answer is not kept */
  async recall(keys: readonly (string | undefined)[]): Promise<ReadonlyMap<number, string>> {
    const found = new Map<number, string>();
    const { project } = this;
    if (project === undefined || keys.every((key) => key === undefined)) return found;
    const { answers } = this.deps.events;
    const asked = keys.map(async (key, index) => {
      const json = key === undefined ? undefined : await answers.get(project, this.digestOf(key));
      if (json !== undefined) found.set(index, json);
    });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, RECALL_MS);
    });
    await Promise.race([Promise.all(asked), late]);
    clearTimeout(timer);
    return new Map(found);
  }

  /** Keeps an answer, in the background. */
  keep(key: string | undefined, json: string): void {
    if (key !== undefined && this.project !== undefined)
      void this.deps.events.answers.put(this.project, this.digestOf(key), json);
  }

  private digestOf(key: string): string {
    const { phase, options } = this.deps;
    const facts = [phase.name, phase.version, options.backend, options.threads, key];
    return createHash('sha256').update(JSON.stringify(facts)).digest('hex');
  }
}
