import { PhaseHost } from '@agentforge/phase-runtime';
import { startService } from '@agentforge/service-kit';
import { AppModule } from './app.module.js';
import { settings } from './config.js';

const service = await startService(AppModule, { name: 'phase-quietstar', settings });
service.get(PhaseHost).announce(service.grpcAddress);
