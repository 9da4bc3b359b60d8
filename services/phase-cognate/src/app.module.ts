import { PhaseRuntimeModule } from '@agentforge/phase-runtime';
import { Module } from '@nestjs/common';
import { cognatePhase } from './cognate.phase.js';

/** The Cognate service. */
@Module({ imports: [PhaseRuntimeModule.serve(cognatePhase)] })
export class AppModule {}
