import { startService } from '@agentforge/service-kit';
import { AppModule } from './app.module.js';
import { settings } from './config.js';

await startService(AppModule, { name: 'pipeline-controller', settings });
