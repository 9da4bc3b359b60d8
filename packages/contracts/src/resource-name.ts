/** The parts of a run's resource name. */
export interface RunName {
  readonly project: string;
  readonly run: string;
}

const SEGMENT = '[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?';
const PROJECT = new RegExp(`^projects/(?<project>${SEGMENT})$`);
const RUN = new RegExp(`^projects/(?<project>${SEGMENT})/runs/(?<run>${SEGMENT})$`);

/** `projects/{project}/runs/{run}`; both parts must be valid segments already. */
export function formatRunName(name: RunName): string {
  return `projects/${name.project}/runs/${name.run}`;
}

/**
 * The parts of `projects/{project}/runs/{run}`, or undefined when the text is no such name. Segments are 1 to 63
 * lower-case letters, digits and "-", beginning and ending with a letter or digit, so they are safe in subjects.
 */
export function parseRunName(text: string): RunName | undefined {
  const groups = RUN.exec(text)?.groups;
  return groups?.['project'] && groups['run']
    ? { project: groups['project'], run: groups['run'] }
    : undefined;
}

/** The project of `projects/{project}`, or undefined when the text is no such name. */
export function parseProjectName(text: string): string | undefined {
  return PROJECT.exec(text)?.groups?.['project'];
}

/** Whether the text is `projects/{project}`. */
export function isProjectName(text: string): boolean {
  return parseProjectName(text) !== undefined;
}
