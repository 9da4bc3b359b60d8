import { servePhase } from '@agentforge/phase-runtime/worker';
import { learnToThink } from './learn-to-think.js';

await servePhase(learnToThink);
