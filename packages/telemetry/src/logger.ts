import { type DestinationStream, type LevelWithSilent, type Logger as Pino, pino } from 'pino';
import { currentContext } from './context.js';
import type { AttributeKey, LogEvent } from './names.js';
import { loggable } from './redaction.js';

/** Levels of log lines, from the least to the most severe; `silent` writes nothing. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

/** Name of a log level. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Fields of a log line: registered attributes, and the error that caused it. */
export type LogFields = { readonly [Key in AttributeKey]?: unknown } & { readonly error?: unknown };

/** How a logger is made. */
export interface LoggerOptions {
  /** Name of the service; on every line. */
  readonly service: string;
  /** Lines below this level are not written; default `info`. */
  readonly level?: LogLevel;
  /** Where lines go; default standard output. */
  readonly destination?: DestinationStream;
}

/**
 * Writes JSON lines: an event name and fields. Trace, span, request, run, step and tenant of the
 * current context are added. Values pass {@link loggable}: no secrets, payloads or tensors.
 */
export class Logger {
  constructor(private readonly sink: Pino) {}

  /** Details for whoever debugs this code. */
  debug(event: LogEvent, fields?: LogFields): void {
    this.write('debug', event, fields);
  }

  /** Something happened that an operator may want to know. */
  info(event: LogEvent, fields?: LogFields): void {
    this.write('info', event, fields);
  }

  /** Something is wrong, and the service deals with it by itself. */
  warn(event: LogEvent, fields?: LogFields): void {
    this.write('warn', event, fields);
  }

  /** Something failed. */
  error(event: LogEvent, fields?: LogFields): void {
    this.write('error', event, fields);
  }

  /** The process cannot go on. */
  fatal(event: LogEvent, fields?: LogFields): void {
    this.write('fatal', event, fields);
  }

  /** A logger whose lines all carry these fields. */
  child(fields: LogFields): Logger {
    return new Logger(this.sink.child(loggable(fields) as Record<string, unknown>));
  }

  /** Whether lines of this level are written; guards expensive fields. */
  isEnabled(level: LogLevel): boolean {
    return this.sink.isLevelEnabled(level);
  }

  private write(level: Exclude<LevelWithSilent, 'silent'>, event: LogEvent, fields: LogFields = {}): void {
    if (!this.sink.isLevelEnabled(level)) return;
    const { trace, ...context } = currentContext();
    const traced = trace ? { traceId: trace.traceId, spanId: trace.spanId } : {};
    this.sink[level]({ ...traced, ...context, ...(loggable(fields) as object) }, event);
  }
}

/** Makes the logger of a process or service. */
export function createLogger({ service, level = 'info', destination }: LoggerOptions): Logger {
  const options = {
    level,
    base: { service },
    messageKey: 'event',
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return new Logger(destination ? pino(options, destination) : pino(options, pino.destination(1)));
}
