/** Where everything of a file of tensors will be, before any data are at hand. */
export interface FilePlan {
  /** The first bytes of the file. */
  readonly head: Uint8Array;
  /** Tensors in the order of the file, with absolute byte ranges. What is between them is zero. */
  readonly ranges: ReadonlyMap<string, { readonly begin: number; readonly end: number }>;
  readonly sizeBytes: number;
}
