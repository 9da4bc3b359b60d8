/** What a field of a filter is compared as. */
export type FieldKind =
  /** One text; `:` means "contains". */
  | 'text'
  /** A word of a fixed set, in capitals. */
  | 'word'
  /** A time in RFC 3339. */
  | 'time'
  /** Several texts; equal means that one of them is. */
  | 'texts'
  /** Texts by key: `labels.KEY`; `labels.KEY:*` asks whether the key is there. */
  | 'map';

/** The fields that a filter may name. */
export type FieldKinds = Readonly<Record<string, FieldKind>>;

/** How a field is compared. */
export type Operator = '=' | '!=' | '<' | '<=' | '>' | '>=' | ':';

/** One comparison. */
export interface Term {
  readonly field: string;
  /** Key within a map; empty otherwise. */
  readonly key: string;
  readonly operator: Operator;
  readonly value: string;
  /** Milliseconds since 1970, for times. */
  readonly timeMs: number;
}

/** What is wrong with a filter, and where. */
export interface FilterProblem {
  /** Offset in the text, from 0. */
  readonly position: number;
  readonly problem: string;
}

/** Values of a record by field. */
export type FieldValues = Readonly<
  Record<string, string | number | readonly string[] | Readonly<Record<string, string>>>
>;

const TOKEN =
  /\s*(?:(?<string>"(?:[^"\\]|\\.)*")|(?<operator>!=|<=|>=|=|<|>|:)|(?<word>[^\s"=!<>:()]+)|(?<other>\S))/y;
const ORDERED: ReadonlySet<string> = new Set(['<', '<=', '>', '>=']);

interface Token {
  readonly kind: 'string' | 'operator' | 'word' | 'other' | 'end';
  readonly text: string;
  readonly position: number;
}

/**
 * Parses a filter: terms `field operator value` joined by AND, as in AIP-160 without OR, NOT and parentheses.
 * Values are words or texts in double quotes. Every term is checked; all problems are returned.
 */
export function parseFilter(
  text: string,
  fields: FieldKinds,
): { readonly terms: readonly Term[]; readonly problems: readonly FilterProblem[] } {
  const { tokens, problems } = tokenize(text);
  if (problems.length > 0) return { terms: [], problems };
  const terms: Term[] = [];
  let at = 0;
  while (tokens[at]?.kind !== 'end') {
    const [name, operator, value, joint] = [0, 1, 2, 3].map((i) => tokens[at + i] ?? endOf(text));
    if (!name || !operator || !value || !joint) break;
    const problem = shapeProblem(name, operator, value, joint);
    if (problem !== undefined) return { terms: [], problems: [...problems, problem] };
    const term = toTerm(name, operator, value, fields);
    if ('problem' in term) problems.push(term);
    else terms.push(term);
    at += joint.kind === 'end' ? 3 : 4;
    if (joint.kind !== 'end' && tokens[at]?.kind === 'end')
      problems.push({ position: text.length, problem: 'a term is missing after AND' });
  }
  return { terms, problems };
}

function tokenize(text: string): { tokens: Token[]; problems: FilterProblem[] } {
  const tokens: Token[] = [];
  const problems: FilterProblem[] = [];
  TOKEN.lastIndex = 0;
  for (let match = TOKEN.exec(text); match !== null; match = TOKEN.exec(text)) {
    const [kind, found] = Object.entries(match.groups ?? {}).find(([, part]) => part !== undefined) ?? [];
    if (found === undefined) break;
    const position = TOKEN.lastIndex - found.length;
    if (kind === 'other')
      problems.push({
        position,
        problem:
          found === '"' ? 'the text in quotes does not end' : `${JSON.stringify(found)} is not expected here`,
      });
    tokens.push({ kind: kind as Token['kind'], text: found, position });
  }
  tokens.push(endOf(text));
  return { tokens, problems };
}

const endOf = (text: string): Token => ({ kind: 'end', text: '', position: text.length });

/** Whether four tokens are a term and what joins it to the next one. */
function shapeProblem(name: Token, operator: Token, value: Token, joint: Token): FilterProblem | undefined {
  const expect = (what: string, { position, kind, text }: Token): FilterProblem => ({
    position,
    problem: `${what} is expected, ${kind === 'end' ? 'the filter ends' : `found ${JSON.stringify(text)}`}`,
  });
  if (name.kind !== 'word') return expect('a field', name);
  if (operator.kind !== 'operator') return expect('an operator (=, !=, <, <=, >, >=, :)', operator);
  if (value.kind !== 'word' && value.kind !== 'string') return expect('a value', value);
  if (joint.kind !== 'end' && joint.text !== 'AND') return expect('AND', joint);
  return undefined;
}

function toTerm(name: Token, operator: Token, value: Token, fields: FieldKinds): Term | FilterProblem {
  const [field = '', ...rest] = name.text.split('.');
  const kind = Object.hasOwn(fields, field) ? fields[field] : undefined;
  const key = rest.join('.');
  if (kind === undefined || (kind !== 'map' && key !== '') || (kind === 'map' && key === '')) {
    const known = Object.entries(fields).map(([known, kind]) => (kind === 'map' ? `${known}.KEY` : known));
    return { position: name.position, problem: `unknown field "${name.text}"; known: ${known.join(', ')}` };
  }
  if (ORDERED.has(operator.text) && kind !== 'time')
    return { position: operator.position, problem: `"${name.text}" has no order; use = or !=` };
  if (operator.text === ':' && (kind === 'time' || kind === 'word'))
    return { position: operator.position, problem: `"${name.text}" cannot contain; compare it` };
  const text = value.kind === 'string' ? unquote(value.text) : value.text;
  const timeMs = kind === 'time' ? Date.parse(text) : Number.NaN;
  if (kind === 'time' && Number.isNaN(timeMs))
    return {
      position: value.position,
      problem: `"${text}" is no time; write it like "2026-11-01T00:00:00Z"`,
    };
  return { field, key, operator: operator.text as Operator, value: text, timeMs };
}

const unquote = (text: string): string => text.slice(1, -1).replace(/\\(.)/g, '$1');

/** Whether a record meets every term. */
export function matches(terms: readonly Term[], values: FieldValues): boolean {
  return terms.every((term) => matchesTerm(term, values[term.field]));
}

function matchesTerm(term: Term, value: FieldValues[string] | undefined): boolean {
  const { operator } = term;
  if (typeof value === 'number') return compareTimes(value, operator, term.timeMs);
  const candidates = candidatesOf(value, term.key);
  if (operator === ':')
    return term.value === '*'
      ? candidates.length > 0
      : candidates.some((candidate) => candidate.toLowerCase().includes(term.value.toLowerCase()));
  const isEqual = candidates.includes(term.value);
  return operator === '!=' ? !isEqual : isEqual;
}

function candidatesOf(value: FieldValues[string] | undefined, key: string): readonly string[] {
  if (typeof value === 'string') return [value];
  if (value === undefined || typeof value === 'number') return [];
  if (isList(value)) return value;
  const entry = Object.hasOwn(value, key) ? value[key] : undefined;
  return entry === undefined ? [] : [entry];
}

const isList = (value: readonly string[] | Readonly<Record<string, string>>): value is readonly string[] =>
  Array.isArray(value);

function compareTimes(a: number, operator: Operator, b: number): boolean {
  switch (operator) {
    case '=':
      return a === b;
    case '!=':
      return a !== b;
    case '<':
      return a < b;
    case '<=':
      return a <= b;
    case '>':
      return a > b;
    case '>=':
      return a >= b;
    case ':':
      return false;
    default:
      return operator satisfies never;
  }
}
