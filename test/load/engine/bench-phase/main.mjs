// A phase on the real runtime that does nothing, or waits and stores checkpoints: what is measured is the engine.
import { PhaseHost, PhaseRuntimeModule, phaseSettings } from '@agentforge/phase-runtime';
import { startService } from '@agentforge/service-kit';
import { benchPhase } from './bench.phase.mjs';

const service = await startService(PhaseRuntimeModule.serve(benchPhase), {
  name: 'phase-bench',
  settings: phaseSettings({ grpcPort: 0, httpPort: 0 }),
});
service.get(PhaseHost).announce(service.grpcAddress);
