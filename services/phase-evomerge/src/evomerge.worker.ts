import { servePhase } from '@agentforge/phase-runtime/worker';
import { evolveMerge } from './evolve-merge.js';

await servePhase(evolveMerge);
