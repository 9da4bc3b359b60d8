import { servePhase } from '@agentforge/phase-runtime/worker';
import { measureSubtask } from './evaluation/measure-subtask.js';
import { evolveMerge } from './evolve-merge.js';

await servePhase(evolveMerge, measureSubtask);
