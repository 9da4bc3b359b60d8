import { parseProjectName, parseRunName } from '@agentforge/contracts';
import type { FieldViolation } from '@agentforge/errors';
import { type FieldKinds, parseFilter, type Term } from './domain/filter.js';
import { decodePageToken, type PagePosition } from './domain/page-token.js';
import { InvalidFilterError, InvalidRequestError } from './pipeline-controller.errors.js';

/** Bounds of a page. */
export interface PageBounds {
  readonly standard: number;
  readonly most: number;
}

const quoted = (text: string): string => JSON.stringify(text.slice(0, 200));

/** The name of a run, checked. @throws INVALID_ARGUMENT */
export function checkRunName(name: string, field = 'name'): string {
  if (parseRunName(name) === undefined)
    throw new InvalidRequestError([
      { field, description: `is ${quoted(name)}; must be "projects/{project}/runs/{run}"` },
    ]);
  return name;
}

/** The project of a parent; "-" means all where that is allowed. @throws INVALID_ARGUMENT */
export function checkParent(parent: string, isAllAllowed: boolean): string {
  if (isAllAllowed && parent === 'projects/-') return '-';
  const project = parseProjectName(parent);
  if (project === undefined)
    throw new InvalidRequestError([
      {
        field: 'parent',
        description: `is ${quoted(parent)}; must be "projects/{project}" of a-z, 0-9 and "-"`,
      },
    ]);
  return project;
}

/** Entries of a page. 0 means the standard. */
export function pageSizeViolations(pageSize: number, { most }: PageBounds): FieldViolation[] {
  return pageSize >= 0 && pageSize <= most
    ? []
    : [{ field: 'page_size', description: `is ${pageSize}; must be 1 to ${most}, or 0 for the default` }];
}

/** The terms of a filter. @throws INVALID_ARGUMENT */
export function checkFilter(filter: string, fields: FieldKinds): readonly Term[] {
  const { terms, problems } = parseFilter(filter, fields);
  if (problems.length > 0) throw new InvalidFilterError(problems);
  return terms;
}

/** Where a page begins; undefined for the first one. @throws INVALID_ARGUMENT */
export function checkPageToken(query: readonly string[], token: string): PagePosition | undefined {
  if (token === '') return undefined;
  const position = decodePageToken(query, token);
  if (position === undefined)
    throw new InvalidRequestError([
      {
        field: 'page_token',
        description:
          'is not a token of this query; pass next_page_token with the same parent, filter and order',
      },
    ]);
  return position;
}

/** The first entries that meet a condition, and whether more follow. */
export function takePage<T>(
  entries: Iterable<T>,
  size: number,
  isWanted: (entry: T) => boolean,
): { readonly page: readonly T[]; readonly hasMore: boolean } {
  const page: T[] = [];
  for (const entry of entries) {
    if (!isWanted(entry)) continue;
    if (page.length === size) return { page, hasMore: true };
    page.push(entry);
  }
  return { page, hasMore: false };
}
