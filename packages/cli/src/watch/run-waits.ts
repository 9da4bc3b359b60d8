import type { WaitReason } from '@agentforge/contracts';

/** One line for each reason, as the server words them. */
export function waitLines(waits: readonly WaitReason[]): string[] {
  return waits.map(({ message }) => message);
}
