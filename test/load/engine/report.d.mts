import type { Figure } from './targets.mjs';

export function lineOf(figure: Figure): string;
export function documentOf(machine: object, figures: readonly Figure[]): string;
export function tableOf(figures: readonly Figure[]): string;
