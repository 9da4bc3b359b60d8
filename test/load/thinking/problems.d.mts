export function problemSet(
  kind: 'sum' | 'chain',
  seed: number,
  options?: { readonly lines?: number; readonly tasks?: number; readonly worked?: number },
): { readonly lesson: string; readonly text: string; readonly tasks: string };
