export interface Axis {
  readonly low: number;
  readonly high: number;
  /** Pixel of a value, to a tenth. */
  at(value: number): number;
}

export function xml(text: string): string;

export function linearAxis(low: number, high: number, from: number, to: number): Axis;

export function logAxis(low: number, high: number, from: number, to: number): Axis;

export function verticalLines(
  x: Axis,
  values: readonly number[],
  top: number,
  bottom: number,
  labelOf?: (value: number) => string,
): string;

export function horizontalLines(
  y: Axis,
  values: readonly number[],
  left: number,
  right: number,
  labelOf?: (value: number) => string,
): string;

export function curve(
  points: readonly (readonly [x: number, y: number])[],
  colour: string,
  title: string,
): string;

export function figure(
  frame: {
    readonly width: number;
    readonly height: number;
    readonly title: string;
    /** Where the title begins. */
    readonly left: number;
  },
  parts: readonly string[],
): string;
