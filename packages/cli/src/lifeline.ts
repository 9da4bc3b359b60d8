import { Socket } from 'node:net';

/**
 * Ends this process like SIGTERM does when whoever started it is gone: FORGE_LIFELINE_FD names a pipe that the starter
 * holds open. Without the variable nothing happens.
 */
export function endWithLifeline(env: Readonly<Record<string, string | undefined>>): void {
  const descriptor = Number(env['FORGE_LIFELINE_FD'] ?? '');
  if (!Number.isInteger(descriptor) || descriptor < 3) return;
  try {
    const lifeline = new Socket({ fd: descriptor, readable: true, writable: false });
    lifeline.on('error', () => undefined);
    lifeline.on('close', () => process.kill(process.pid, 'SIGTERM'));
    lifeline.resume();
    lifeline.unref();
  } catch {
    // The variable was inherited by a process that did not get the pipe.
  }
}
