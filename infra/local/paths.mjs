import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Root of the workspace. */
export const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/[\\/]$/, '');

/** Everything that is installed or made for this workspace only. */
export const forgeDir = join(root, '.forge');

/** Programs of this workspace only. */
export const toolsDir = join(forgeDir, 'tools');

/** Programs that are not packages of npm. */
export const toolsBin = join(toolsDir, 'bin');

/** The environment of everything that is started: the workspace's own programs first, nothing interactive. */
export function toolsEnv() {
  const folders = [toolsBin, join(toolsDir, 'node_modules', '.bin'), join(root, 'node_modules', '.bin')];
  return {
    ...process.env,
    PATH: [...folders, process.env.PATH ?? ''].join(delimiter),
    NX_DAEMON: 'false',
    NX_TUI: 'false',
  };
}
