/** What a candidate costs in every objective; all are to be small. */
export type Costs = readonly number[];

/** Whether one is nowhere worse and somewhere better. */
export function dominates(a: Costs, b: Costs): boolean {
  let isBetter = false;
  for (const [i, value] of a.entries()) {
    if (value > (b[i] as number)) return false;
    if (value < (b[i] as number)) isBetter = true;
  }
  return isBetter;
}

/**
 * Indices by front: those that nobody dominates, those that only they dominate, and so on; each front in the order given.
 * O(objectives · n²).
 * @see Deb et al. 2002, IEEE Trans. Evol. Comput. 6, 182–197, §III-A
 */
export function sortByFront(costs: readonly Costs[]): number[][] {
  const dominated: number[][] = costs.map(() => []);
  const dominators = costs.map(() => 0);
  for (let i = 0; i < costs.length; i++) {
    for (let j = 0; j < costs.length; j++) {
      if (!dominates(costs[i] as Costs, costs[j] as Costs)) continue;
      (dominated[i] as number[]).push(j);
      dominators[j] = (dominators[j] as number) + 1;
    }
  }
  const fronts: number[][] = [];
  let front = costs.flatMap((_, i) => (dominators[i] === 0 ? [i] : []));
  while (front.length > 0) {
    fronts.push(front);
    const next: number[] = [];
    for (const i of front) {
      for (const j of dominated[i] as number[]) {
        const left = (dominators[j] as number) - 1;
        dominators[j] = left;
        if (left === 0) next.push(j);
      }
    }
    front = next.sort((a, b) => a - b);
  }
  return fronts;
}

/**
 * How much room each member of a front has: the sum over objectives of the distance between its neighbours, relative to
 * the extent of the front. The ends of an objective have infinite room.
 * @see Deb et al. 2002, §III-B
 */
export function crowdingDistances(front: readonly Costs[]): number[] {
  const room = front.map(() => 0);
  const objectives = front[0]?.length ?? 0;
  for (let k = 0; k < objectives; k++) {
    const value = (i: number) => (front[i] as Costs)[k] as number;
    const order = front.map((_, i) => i).sort((i, j) => value(i) - value(j) || i - j);
    const extent = value(order.at(-1) as number) - value(order[0] as number);
    if (!(extent > 0)) continue;
    for (const [at, i] of order.entries()) {
      const [before, after] = [order[at - 1], order[at + 1]];
      room[i] =
        before === undefined || after === undefined
          ? Number.POSITIVE_INFINITY
          : (room[i] as number) + (value(after) - value(before)) / extent;
    }
  }
  return room;
}

/**
 * Area that a front of two objectives dominates below a reference point.
 * @see Zitzler & Thiele 1998, "Multiobjective optimization using evolutionary algorithms"
 */
export function hypervolume2d(costs: readonly Costs[], [x0, y0]: readonly [number, number]): number {
  const inside = costs.filter(([x, y]) => (x as number) < x0 && (y as number) < y0);
  const sorted = inside.toSorted((a, b) => (a[0] as number) - (b[0] as number));
  let area = 0;
  let top = y0;
  for (const [x, y] of sorted as (readonly [number, number])[]) {
    if (y >= top) continue;
    area += (x0 - x) * (top - y);
    top = y;
  }
  return area;
}
