export function cpuSeconds(pid: number): number;
export function memoryOf(pid: number): { readonly bytes: number; readonly peakBytes: number };
export function busyCores(
  used: { readonly seconds: number; readonly cpu: Readonly<Record<string, number>> },
  cores: number,
): string;
