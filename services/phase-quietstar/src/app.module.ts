import { PhaseRuntimeModule } from '@agentforge/phase-runtime';
import { Module } from '@nestjs/common';
import { quietstarPhase } from './quietstar.phase.js';

/** The Quiet-STaR service. */
@Module({ imports: [PhaseRuntimeModule.serve(quietstarPhase)] })
export class AppModule {}
