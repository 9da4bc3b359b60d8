import { PhaseRuntimeModule } from '@agentforge/phase-runtime';
import { Module } from '@nestjs/common';
import { evomergePhase } from './evomerge.phase.js';

/** The EvoMerge service. */
@Module({ imports: [PhaseRuntimeModule.serve(evomergePhase)] })
export class AppModule {}
