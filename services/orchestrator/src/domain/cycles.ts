/**
 * Finds cycles of a dependency graph.
 * @param dependencies  for each node, the positions of the nodes it waits for
 * @returns             the cycles met, each as positions in walking order; at least one for every group of nodes
 *                      that can never start and empty exactly when the graph is acyclic. O(nodes + edges).
 */
export function findCycles(dependencies: readonly (readonly number[])[]): number[][] {
  const stuck = nodesOnOrBehindCycles(dependencies);
  const cycles: number[][] = [];
  const isVisited = new Uint8Array(dependencies.length);
  for (const start of stuck) {
    const walk: number[] = [];
    const placeOf = new Map<number, number>();
    let node: number | undefined = start;
    while (node !== undefined && isVisited[node] === 0) {
      isVisited[node] = 1;
      placeOf.set(node, walk.length);
      walk.push(node);
      node = dependencies[node]?.find((dependency) => stuck.has(dependency));
    }
    const from = node === undefined ? undefined : placeOf.get(node);
    if (from !== undefined) cycles.push(walk.slice(from));
  }
  return cycles;
}

/** Nodes that Kahn's algorithm cannot order. */
function nodesOnOrBehindCycles(dependencies: readonly (readonly number[])[]): Set<number> {
  const dependents = dependencies.map((): number[] => []);
  const unmet = dependencies.map((list, node) => {
    for (const dependency of list) dependents[dependency]?.push(node);
    return list.length;
  });
  const order = unmet.flatMap((count, node) => (count === 0 ? [node] : []));
  for (let i = 0; i < order.length; i++) {
    for (const dependent of dependents[order[i] ?? 0] ?? []) {
      unmet[dependent] = (unmet[dependent] ?? 0) - 1;
      if (unmet[dependent] === 0) order.push(dependent);
    }
  }
  return new Set(unmet.flatMap((count, node) => (count > 0 ? [node] : [])));
}
