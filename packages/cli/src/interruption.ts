import { InterruptedError } from './errors.js';
import { EXIT } from './exit-code.js';

/** One Ctrl-C may arrive several times: from the terminal and from a parent that passes it on. */
const SAME_SIGNAL_MS = 1_000;

/**
 * Takes over SIGINT, SIGTERM and SIGHUP when it is first asked for: the first aborts the signal it returns, so that a
 * command can end in order; a later one ends the process at once (the guard then ends what was started).
 */
export function interruptionOf(target: NodeJS.Process): () => AbortSignal {
  let controller: AbortController | undefined;
  let firstAt = 0;
  return () => {
    if (controller) return controller.signal;
    const started = new AbortController();
    controller = started;
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      target.on(signal, () => {
        if (firstAt === 0) {
          firstAt = Date.now();
          started.abort(new InterruptedError(signal === 'SIGINT' ? 'SIGINT' : 'SIGTERM'));
        } else if (Date.now() - firstAt > SAME_SIGNAL_MS) {
          target.exit(signal === 'SIGINT' ? EXIT.interrupted : EXIT.terminated);
        }
      });
    }
    return started.signal;
  };
}
