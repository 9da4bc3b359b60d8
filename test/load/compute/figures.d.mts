export interface Figure {
  readonly name: string;
  readonly shape: string;
  readonly value: number;
  readonly unit: string;
  readonly reference: string | null;
  readonly referenceValue: number | null;
  readonly ratio: number | null;
}

export function median(list: readonly number[]): number;

export function compared(
  of: { readonly name: string; readonly shape: string; readonly unit: string; readonly reference: string },
  rounds: readonly (readonly [ours: number, theirs: number | undefined])[],
): Figure;

export function alone(
  of: { readonly name: string; readonly shape: string; readonly unit: string },
  value: number,
): Figure;

export function labelled(
  shape: string,
  precision: string,
  backend: { readonly device: string; readonly isa: string },
): { suffix: string; shape: string };

export function lineOf(
  figure: Figure & { readonly target: number | null; readonly met: boolean | null },
): string;
