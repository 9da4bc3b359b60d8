import {
  type Document,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
} from 'yaml';
import type { RecipePosition, RecipeProblem } from '../merging.errors.js';
import type { RecipePath } from './recipe.js';

/** Longest recipe file, in characters. */
const MAX_LENGTH = 4 * 1024 * 1024;
/** Most values that aliases may expand to. */
const MAX_ALIASES = 1000;

/** A file of one or more YAML documents that knows where each value stands. */
export class RecipeDocuments {
  readonly values: readonly unknown[];
  /** What is wrong with the YAML itself. */
  readonly problems: readonly RecipeProblem[];
  private readonly documents: readonly Document[];
  private readonly lines = new LineCounter();

  constructor(readonly text: string) {
    if (text.length > MAX_LENGTH) {
      this.documents = [];
      this.problems = [{ path: '', message: 'is larger than 4 MiB' }];
      this.values = [];
      return;
    }
    // `<<` merges, as in PyYAML, which mergekit reads with.
    const parsed = parseAllDocuments(text, {
      version: '1.2',
      merge: true,
      lineCounter: this.lines,
      prettyErrors: false,
    });
    this.documents = Array.isArray(parsed) ? parsed : [];
    const errors = this.documents.flatMap((document) => [...document.errors, ...document.warnings]);
    const problems: RecipeProblem[] = errors.map(({ message, pos: [offset] }) => ({
      path: '',
      message,
      position: this.at(offset),
    }));
    const values: unknown[] = [];
    if (problems.length === 0) {
      for (const document of this.documents) {
        try {
          values.push(document.toJS({ maxAliasCount: MAX_ALIASES }));
        } catch (error) {
          problems.push({ path: '', message: error instanceof Error ? error.message : String(error) });
        }
      }
    }
    this.values = values;
    this.problems = problems;
  }

  /** A problem at a path of a document, with the position of the value or of its nearest parent that is there. */
  problem(document: number, path: RecipePath, message: string): RecipeProblem {
    const position = this.locate(document, path);
    const prefix: RecipePath = this.documents.length > 1 ? [`document ${document + 1}`] : [];
    return { path: formatPath([...prefix, ...path]), message, ...(position ? { position } : {}) };
  }

  private locate(document: number, path: RecipePath): RecipePosition | undefined {
    let node = (this.documents[document]?.contents ?? null) as Node | null;
    let offset = node?.range?.[0];
    for (const part of path) {
      if (isMap(node)) {
        const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(part));
        if (!pair || !isNode(pair.key)) break;
        node = isNode(pair.value) ? pair.value : null;
        offset = (isScalar(node) && node.range ? node : pair.key).range?.[0];
      } else if (isSeq(node)) {
        const item = node.items[Number(part)];
        if (!isNode(item)) break;
        node = item;
        offset = node.range?.[0];
      } else break;
    }
    return offset === undefined ? undefined : this.at(offset);
  }

  private at(offset: number): RecipePosition {
    const { line, col } = this.lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }
}

/** `slices[1].sources[0].model`. */
function formatPath(path: RecipePath): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    return text === '' ? part : `${text}.${part}`;
  }, '');
}
