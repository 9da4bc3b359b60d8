import type { Style } from '../output/style.js';
import type { SpecProblem } from './problem.js';

/**
 * Problems for people: `file:line:column  path  message`, each with its line of the file and a mark below the place.
 * Editors and terminals make the first part a link.
 */
export function renderProblems(
  file: string,
  text: string,
  problems: readonly SpecProblem[],
  style: Style,
): string {
  const lines = text.split('\n');
  return problems
    .map((problem) => {
      const { position } = problem;
      const place = position ? `${file}:${position.line}:${position.column}` : (problem.origin ?? file);
      const path = problem.path ? `${style.bold(problem.path)}: ` : '';
      const head = `${place}: ${style.red('error')}: ${path}${problem.message}`;
      const line = position && lines[position.line - 1];
      if (!position || line === undefined || line.length > 200) return head;
      const gutter = String(position.line).padStart(5);
      const mark = `${' '.repeat(position.column - 1)}^`;
      return `${head}\n${style.dim(`${gutter} |`)} ${line}\n${style.dim('      |')} ${style.red(mark)}`;
    })
    .join('\n');
}
