export { EXIT, type ExitCode } from './exit-code.js';
export {
  LOCAL_PHASES,
  LocalStack,
  type LocalStackOptions,
} from './local/local-stack.js';
export { runCommand } from './run-command.js';
export { type GlobalOptions, type Io, Session } from './session.js';
export { type ParsedSpec, parseRunSpec, type RunSpec } from './spec/run-spec.js';
