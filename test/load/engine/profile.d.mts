export interface Frame {
  readonly functionName: string;
  readonly url: string;
}

export interface Profile {
  readonly nodes: readonly { readonly id: number; readonly callFrame: Frame }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

export function hotSpots(
  profile: Profile,
  nameOf?: (frame: Frame) => string,
): { readonly what: string; readonly ms: number; readonly share: number }[];
export function placeOf(frame: Frame): string;
export function functionOf(frame: Frame): string;
