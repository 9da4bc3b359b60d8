import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
} from 'yaml';
import { type FieldPath, formatPath, parsePath } from './path.js';
import type { Position, SpecProblem } from './problem.js';

/** Longest specification that is read, in bytes. */
const MAX_SPEC_BYTES = 4 * 1024 * 1024;
/** Most values that aliases may expand to: a few lines could otherwise fill the memory. */
const MAX_ALIASES = 1_000;

/** A YAML document that knows where each of its values stands in the file. */
export class SpecDocument {
  /** Syntax errors, and `--set` arguments that cannot be applied. */
  readonly problems: SpecProblem[] = [];
  private readonly document: Document;
  private readonly lines = new LineCounter();
  private readonly overridden = new Map<string, string>();

  /**
   * @param text       YAML; integers are read exactly
   * @param overrides  `path=value` arguments, applied in order; a value is read as YAML
   */
  constructor(text: string, overrides: readonly string[] = []) {
    this.document = parseDocument(text.length > MAX_SPEC_BYTES ? '' : text, {
      lineCounter: this.lines,
      intAsBigInt: true,
      prettyErrors: false,
    });
    if (text.length > MAX_SPEC_BYTES) this.problems.push({ path: '', message: 'larger than 4 MiB' });
    for (const error of [...this.document.errors, ...this.document.warnings]) {
      this.problems.push({ path: '', message: error.message, position: this.at(error.pos[0]) });
    }
    if (this.problems.length === 0) for (const override of overrides) this.apply(override);
  }

  /** The whole document as plain values; integers are bigints. */
  toValue(): unknown {
    if (this.problems.length > 0) return undefined;
    try {
      return this.document.toJS({ maxAliasCount: MAX_ALIASES });
    } catch (error) {
      this.problems.push({ path: '', message: error instanceof Error ? error.message : String(error) });
      return undefined;
    }
  }

  /** A problem at a path, with the position of the value, of its key, or of the nearest parent that exists. */
  problem(path: FieldPath, message: string, at: 'key' | 'value' = 'value'): SpecProblem {
    const origin = this.originOf(path);
    const base = { path: formatPath(path), message };
    if (origin !== undefined) return { ...base, origin };
    const position = this.locate(path, at);
    return position === undefined ? base : { ...base, position };
  }

  /** Where the value at a path, or the nearest parent that exists, stands; undefined in an empty document. */
  locate(path: FieldPath, at: 'key' | 'value' = 'value'): Position | undefined {
    let node = this.document.contents as Node | null;
    let offset = node?.range?.[0];
    for (const [depth, part] of path.entries()) {
      const resolved = isAlias(node) ? (node.resolve(this.document) as Node | undefined) : node;
      const last = depth === path.length - 1;
      if (isMap(resolved)) {
        const pair = resolved.items.find(
          (item) => isScalar(item.key) && String(item.key.value) === String(part),
        );
        if (!pair || !isNode(pair.key)) break;
        const value = isNode(pair.value) ? pair.value : null;
        const useValue = last && at === 'value' && isScalar(value) && value.range;
        offset = useValue ? value.range?.[0] : pair.key.range?.[0];
        node = value;
      } else if (isSeq(resolved)) {
        const item = resolved.items[Number(part)];
        if (!isNode(item)) break;
        offset = item.range?.[0];
        node = item;
      } else break;
    }
    return offset === undefined ? undefined : this.at(offset);
  }

  private at(offset: number): Position {
    const { line, col } = this.lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  }

  private originOf(path: FieldPath): string | undefined {
    for (let length = path.length; length > 0; length--) {
      const origin = this.overridden.get(formatPath(path.slice(0, length)));
      if (origin !== undefined) return origin;
    }
    return undefined;
  }

  private apply(override: string): void {
    const equals = override.indexOf('=');
    const origin = `--set ${override}`;
    const refuse = (message: string) => this.problems.push({ path: '', message, origin });
    if (equals <= 0) {
      refuse('expected KEY=VALUE, for example --set steps.founders.config.steps=200');
      return;
    }
    const value = parseDocument(override.slice(equals + 1), { intAsBigInt: true });
    if (value.errors.length > 0) {
      refuse(`the value is not YAML: ${value.errors[0]?.message.split('\n')[0]}`);
      return;
    }
    const path = this.resolveStepIds(parsePath(override.slice(0, equals)));
    try {
      this.document.setIn(path, this.document.createNode(value.toJS()));
      this.overridden.set(formatPath(path), origin);
    } catch {
      refuse(`${formatPath(path)} is inside a value that has no fields`);
    }
  }

  /** `steps.founders.config` means the step whose id is "founders". */
  private resolveStepIds(path: FieldPath): FieldPath {
    const [first, second, ...rest] = path;
    if (first !== 'steps' || typeof second !== 'string') return path;
    const steps = this.document.get('steps');
    if (!isSeq(steps)) return path;
    const index = steps.items.findIndex((item) => isMap(item) && item.get('id') === second);
    if (index >= 0) return ['steps', index, ...rest];
    this.problems.push({
      path: '',
      message: `no step has the id "${second}"`,
      origin: `--set ${formatPath(path)}`,
    });
    return path;
  }
}
