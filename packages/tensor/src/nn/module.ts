import { formatShape } from '../dtype.js';
import { ShapeError, StateError } from '../errors.js';
import { Tensor, zeroGrad } from '../tensor.js';

/** What a module may hold under a name. */
export type Child = Tensor | Module | readonly Module[];

/** Values to load: tensors, or host arrays of as many elements. */
export type ModuleState = ReadonlyMap<string, Tensor | Float32Array>;

/** Names that a state and a module do not share. */
export interface LoadReport {
  /** Parameters that the state does not have; left as they were. */
  readonly missing: readonly string[];
  /** Entries of the state that the module does not have; ignored. */
  readonly unexpected: readonly string[];
}

/**
 * A part of a model: parameters and further modules, each under the name of the field that holds it.
 * The names, joined by dots, are those of Hugging Face checkpoints when the fields are named so:
 * `model.layers.0.self_attn.q_proj.weight`.
 */
export abstract class Module {
  /** Name and value of what this module holds, in a fixed order. Default: its fields that are parameters, modules or lists of modules. */
  protected *children(): Iterable<readonly [string, Child]> {
    for (const [name, value] of Object.entries(this)) {
      if (value instanceof Module) yield [name, value];
      else if (value instanceof Tensor && value.isParameter) yield [name, value];
      else if (Array.isArray(value) && value.every((item) => item instanceof Module)) yield [name, value];
    }
  }

  /** Parameters by name, in field order; one that several names reach is listed under the first (tied weights). */
  namedParameters(): Map<string, Tensor> {
    const named = new Map<string, Tensor>();
    const seen = new Set<Tensor>();
    this.visit('', (name, tensor) => {
      if (!seen.has(tensor)) named.set(name, tensor);
      seen.add(tensor);
    });
    return named;
  }

  /** The modules below this one by name, each before those that it holds. */
  namedModules(): Map<string, Module> {
    const named = new Map<string, Module>();
    const list = (name: string, module: Module): void => {
      named.set(name, module);
      for (const [below, other] of module.namedModules()) named.set(`${name}.${below}`, other);
    };
    for (const [name, child] of this.children()) {
      if (child instanceof Module) list(name, child);
      else if (!(child instanceof Tensor))
        for (const [i, module] of child.entries()) list(`${name}.${i}`, module);
    }
    return named;
  }

  /** Parameters, each once, in field order. */
  parameters(): Tensor[] {
    return [...this.namedParameters().values()];
  }

  /** Number of values of all parameters. */
  parameterCount(): number {
    return this.parameters().reduce((sum, tensor) => sum + tensor.size, 0);
  }

  /** Parameters that gradients are computed for, each once, in field order. */
  trainableParameters(): Tensor[] {
    return this.parameters().filter(({ requiresGrad }) => requiresGrad);
  }

  /** Computes no gradients for the parameters of this module any more, or computes them again. */
  setTrainable(isTrainable: boolean): void {
    const parameters = this.parameters();
    if (!isTrainable) zeroGrad(parameters);
    for (const parameter of parameters) parameter.requiresGrad = isTrainable;
  }

  /**
   * Puts other modules in the place of modules below this one, whatever their depth; what it gives for one is not
   * searched again.
   * @param substitute  gets name and module; returns another one, or the same to leave it
   */
  replaceModules(substitute: (name: string, module: Module) => Module): void {
    this.replaceBelow('', substitute);
  }

  /** The parameters by name: the tensors themselves, not copies. */
  stateDict(): Map<string, Tensor> {
    return this.namedParameters();
  }

  /**
   * Copies values into the parameters. Nothing is changed unless everything fits.
   * @param strict  whether a name that only one side has is an error; default true
   * @throws StateError INVALID_ARGUMENT: missing or unexpected names
   * @throws ShapeError INVALID_ARGUMENT: a value has another shape (tensor) or size (array) than its parameter
   */
  loadState(state: ModuleState, { strict = true }: { readonly strict?: boolean } = {}): LoadReport {
    const parameters = this.namedParameters();
    const missing = [...parameters.keys()].filter((name) => !state.has(name));
    const unexpected = [...state.keys()].filter((name) => !parameters.has(name));
    if (strict && missing.length + unexpected.length > 0) {
      throw new StateError(
        `state does not fit the module: missing ${missing.join(', ') || 'nothing'}; unexpected ${unexpected.join(', ') || 'nothing'}`,
      );
    }
    const loads = [...parameters].flatMap(([name, parameter]) => {
      const value = state.get(name);
      return value === undefined ? [] : [{ parameter, data: dataFor(name, parameter, value) }];
    });
    for (const { parameter, data } of loads) parameter.write(data());
    return { missing, unexpected };
  }

  /** Starts the gradients of all parameters anew. */
  zeroGrad(): void {
    zeroGrad(this.parameters());
  }

  /** Frees all parameters and their gradients. */
  dispose(): void {
    for (const parameter of this.parameters()) parameter.dispose();
  }

  private replaceBelow(prefix: string, substitute: (name: string, module: Module) => Module): void {
    const put = (place: Record<string, unknown>, key: string, name: string, module: Module): void => {
      const other = substitute(name, module);
      if (other === module) module.replaceBelow(`${name}.`, substitute);
      else place[key] = other;
    };
    for (const [key, child] of [...this.children()]) {
      if (child instanceof Module) put(this as unknown as Record<string, unknown>, key, prefix + key, child);
      else if (!(child instanceof Tensor)) {
        const list = child as unknown as Record<string, unknown>;
        child.forEach((module, i) => {
          put(list, String(i), `${prefix + key}.${i}`, module);
        });
      }
    }
  }

  private visit(prefix: string, found: (name: string, tensor: Tensor) => void): void {
    for (const [name, child] of this.children()) {
      const path = prefix + name;
      if (child instanceof Tensor) found(path, child);
      else if (child instanceof Module) child.visit(`${path}.`, found);
      else for (const [i, module] of child.entries()) module.visit(`${path}.${i}.`, found);
    }
  }
}

/** A function that reads a value, after a check that it fits. */
function dataFor(name: string, parameter: Tensor, value: Tensor | Float32Array): () => Float32Array {
  if (value instanceof Tensor) {
    if (formatShape(value.shape) !== formatShape(parameter.shape)) {
      throw new ShapeError(
        `loadState: ${name} is ${formatShape(value.shape)}, the parameter ${formatShape(parameter.shape)}`,
      );
    }
    return () => value.toFloat32Array();
  }
  if (value.length !== parameter.size) {
    throw new ShapeError(
      `loadState: ${name} has ${value.length} elements, the parameter is ${formatShape(parameter.shape)}`,
    );
  }
  return () => value;
}
