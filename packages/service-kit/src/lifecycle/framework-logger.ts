import type { LogFields, Logger } from '@agentforge/telemetry';
import type { LoggerService } from '@nestjs/common';

/** Lets the framework's own lines go through our logger; its chatter about modules is for debugging. */
export class FrameworkLogger implements LoggerService {
  constructor(private readonly out: Logger) {}

  log(message: unknown, ...rest: unknown[]): void {
    this.out.debug('framework.message', fieldsOf(message, rest));
  }

  debug(message: unknown, ...rest: unknown[]): void {
    this.out.debug('framework.message', fieldsOf(message, rest));
  }

  verbose(message: unknown, ...rest: unknown[]): void {
    this.out.debug('framework.message', fieldsOf(message, rest));
  }

  warn(message: unknown, ...rest: unknown[]): void {
    this.out.warn('framework.message', fieldsOf(message, rest));
  }

  error(message: unknown, ...rest: unknown[]): void {
    this.out.error('framework.message', fieldsOf(message, rest));
  }

  fatal(message: unknown, ...rest: unknown[]): void {
    this.out.fatal('framework.message', fieldsOf(message, rest));
  }
}

/** Nest passes the stack (of errors) and the context as further texts; the context comes last. */
function fieldsOf(message: unknown, rest: unknown[]): LogFields {
  const context = rest.at(-1);
  const stack = rest.length > 1 ? rest[0] : undefined;
  return {
    ...(message instanceof Error ? { error: message } : { message }),
    ...(typeof context === 'string' ? { name: context } : {}),
    ...(typeof stack === 'string' ? { stack } : {}),
  };
}
