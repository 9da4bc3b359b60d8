/** Exit codes of `forge`. Scripts may rely on them. */
export const EXIT = {
  /** Done. */
  ok: 0,
  /** A waited run failed or was cancelled, a check found something, or a server answered with an error. */
  failed: 1,
  /** The command line, the configuration or the specification is wrong; nothing was started. */
  usage: 2,
  /** Stopped by Ctrl-C. */
  interrupted: 130,
  /** Stopped by SIGTERM. */
  terminated: 143,
} as const;

/** An exit code of `forge`. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
