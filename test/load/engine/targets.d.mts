export interface Figure {
  readonly name: string;
  readonly shape: string;
  readonly value: number;
  readonly unit: string;
  readonly reference: string | null;
  readonly referenceValue: number | null;
  readonly ratio: number | null;
  readonly target: number | null;
  readonly met: boolean | null;
  readonly bound: string;
}

export function judged(
  figure: Pick<Figure, 'name' | 'value' | 'unit'> & Partial<Pick<Figure, 'shape' | 'bound'>>,
): Figure;
