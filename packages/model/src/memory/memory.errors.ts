import { AppError } from '@agentforge/errors';

/** What a memory holds is infinite or not a number any more: the same weights would come to it again with the same text. */
export class MemoryDivergedError extends AppError {
  constructor(name: string, { maxStep, clipNorm }: { readonly maxStep: number; readonly clipNorm: number }) {
    super(
      'FAILED_PRECONDITION',
      `${name} diverged: what it holds is infinite or not a number; lower memory.maxStep (${maxStep}), memory.clipNorm (${clipNorm}) or the learning rate`,
      { reason: 'MEMORY_DIVERGED', metadata: { memory: name } },
    );
  }
}
