import {
  ArtifactService,
  CapacityService,
  OperationsService,
  PipelineService,
  ScheduleService,
} from '@agentforge/contracts';
import type { Client } from '@agentforge/service-kit';
import { findLocalEndpoint } from './config/endpoint.js';
import { isServerAddress, type Profile, readProfiles } from './config/profile-file.js';
import { NoServerError, UsageError } from './errors.js';
import { type OutputFormat, type Rendering, render } from './output/format.js';
import { createStyle, type Style, wantsColor } from './output/style.js';
import type { Terminal } from './output/terminal.js';
import { didYouMean } from './spec/suggest.js';

/** The world outside: where text goes, what is set, what asks to stop. */
export interface Io {
  readonly out: Terminal;
  readonly err: Terminal;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Root of the workspace that this command belongs to. */
  readonly root: string;
  /** All of standard input. */
  readonly readStdin: () => Promise<string>;
  /** Aborts with an InterruptedError on Ctrl-C or SIGTERM. Asking for it takes over these signals. */
  readonly interruption: () => AbortSignal;
}

/** Options that every command takes. */
export interface GlobalOptions {
  readonly server?: string;
  readonly project?: string;
  readonly profile?: string;
  readonly output?: OutputFormat;
  readonly color?: boolean;
}

const DEFAULT_PROJECT = 'default';

/** Everything a command needs: settings from options, environment, profile and defaults; output; connections. */
export class Session {
  readonly style: Style;
  readonly errorStyle: Style;
  private readonly open: { close(): void }[] = [];
  private profile: Promise<Profile> | undefined;

  constructor(
    readonly io: Io,
    private readonly options: GlobalOptions,
  ) {
    const noColorFlag = options.color === false;
    this.style = createStyle(wantsColor({ isTTY: io.out.isTTY, noColorFlag, env: io.env }));
    this.errorStyle = createStyle(wantsColor({ isTTY: io.err.isTTY, noColorFlag, env: io.env }));
  }

  /** Prints one thing in the format that was asked for. */
  async print(rendering: Rendering): Promise<void> {
    this.io.out.write(render(rendering, await this.format(), this.style));
  }

  /** Prints a line for people on standard error, so that standard output stays data. */
  remark(line: string): void {
    this.io.err.write(`${line}\n`);
  }

  /** Format: --output, the profile, table. */
  async format(): Promise<OutputFormat> {
    return this.options.output ?? (await this.loadProfile()).output ?? 'table';
  }

  /** Project: --project, FORGE_PROJECT, the profile, "default". */
  async project(): Promise<string> {
    return (
      this.options.project ??
      this.io.env['FORGE_PROJECT'] ??
      (await this.loadProfile()).project ??
      DEFAULT_PROJECT
    );
  }

  /** Server: --server, FORGE_SERVER, the profile, a local stack in this folder or above. Undefined when there is none. */
  async findServer(): Promise<string | undefined> {
    const given = this.options.server ?? (this.io.env['FORGE_SERVER'] || undefined);
    if (given !== undefined && !isServerAddress(given)) {
      throw new UsageError(`server "${given}" is not HOST:PORT, for example 127.0.0.1:7100`);
    }
    return given ?? (await this.loadProfile()).server ?? findLocalEndpoint(this.io.cwd)?.server;
  }

  /** The front door. @throws NoServerError UNAVAILABLE: no server is known */
  async pipeline(): Promise<Client<typeof PipelineService>> {
    const { createClient } = await import('@agentforge/service-kit');
    return this.keep(createClient(PipelineService, await this.server()));
  }

  /** The artifact store behind the front door. @throws NoServerError UNAVAILABLE: no server is known */
  async artifacts(): Promise<Client<typeof ArtifactService>> {
    const { createClient } = await import('@agentforge/service-kit');
    return this.keep(createClient(ArtifactService, await this.server()));
  }

  /** Dead letters, breakers and queues behind the front door. @throws NoServerError UNAVAILABLE: no server is known */
  async operations(): Promise<Client<typeof OperationsService>> {
    const { createClient } = await import('@agentforge/service-kit');
    return this.keep(createClient(OperationsService, await this.server()));
  }

  /** Pools and quotas behind the front door. @throws NoServerError UNAVAILABLE: no server is known */
  async capacity(): Promise<Client<typeof CapacityService>> {
    const { createClient } = await import('@agentforge/service-kit');
    return this.keep(createClient(CapacityService, await this.server()));
  }

  /** Schedules behind the front door. @throws NoServerError UNAVAILABLE: no server is known */
  async schedules(): Promise<Client<typeof ScheduleService>> {
    const { createClient } = await import('@agentforge/service-kit');
    return this.keep(createClient(ScheduleService, await this.server()));
  }

  /** Resource name of a run: as it is, or an id within the project. */
  async runName(text: string): Promise<string> {
    return text.includes('/') ? text : `projects/${await this.project()}/runs/${text}`;
  }

  /** Resource name of a schedule: as it is, or an id within a project. */
  async scheduleName(text: string, project?: string): Promise<string> {
    return text.includes('/') ? text : `projects/${project ?? (await this.project())}/schedules/${text}`;
  }

  /** Closes connections. */
  close(): void {
    for (const client of this.open.splice(0)) client.close();
  }

  private async server(): Promise<string> {
    const server = await this.findServer();
    if (server === undefined) throw new NoServerError();
    return server;
  }

  private keep<T extends { close(): void }>(client: T): T {
    this.open.push(client);
    return client;
  }

  private loadProfile(): Promise<Profile> {
    this.profile ??= this.readProfile();
    return this.profile;
  }

  private async readProfile(): Promise<Profile> {
    const { current, profiles } = await readProfiles(this.io.env);
    const name = this.options.profile ?? this.io.env['FORGE_PROFILE'] ?? current;
    if (name === undefined) return {};
    const profile = profiles[name];
    if (!profile) {
      const known = Object.keys(profiles);
      throw new UsageError(
        `no profile is called "${name}"${didYouMean(name, known) || ` (known: ${known.join(', ') || 'none'})`}`,
      );
    }
    return profile;
  }
}
