import { servePhase } from '@agentforge/phase-runtime/worker';
import { createFounders } from './create-founders.js';

await servePhase(createFounders);
