// The probe phase as a service: `forge dev --service phase-probe=test/probe-phase/main.mjs`.
import { PhaseHost, PhaseRuntimeModule, phaseSettings } from '@agentforge/phase-runtime';
import { startService } from '@agentforge/service-kit';
import { probePhase } from './probe.phase.mjs';

const service = await startService(PhaseRuntimeModule.serve(probePhase), {
  name: 'phase-probe',
  settings: phaseSettings({ grpcPort: 0, httpPort: 0 }),
});
service.get(PhaseHost).announce(service.grpcAddress);
