export function framed(bytes: Uint8Array): Buffer;

export class UnaryClient {
  constructor(options: {
    readonly server: string;
    readonly path: string;
    readonly tenant: string;
    readonly tenantHeader: string;
    readonly deadlineMs: number;
  });
  open(count: number): Promise<void>;
  call(frame: Uint8Array): Promise<void>;
  close(): void;
}
