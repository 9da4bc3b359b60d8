import { AppError } from '@agentforge/errors';

/** Answers an RPC that the contract has and this service does not serve. @throws AppError UNIMPLEMENTED */
export function notYet(rpc: string): never {
  throw new AppError('UNIMPLEMENTED', `${rpc} is not served by this version`, {
    reason: 'NOT_SERVED',
    metadata: { rpc },
  });
}
