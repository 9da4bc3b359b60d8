import type { Handle } from '@agentforge/native';
import { needsGraph, record } from '../autograd/record.js';
import { native } from '../backend.js';
import { sameShape, sizeOf } from '../dtype.js';
import type { Tensor } from '../tensor.js';
import { float, lastAxis, refuseShapes, result } from './operand.js';

/** What becomes of the divergence of each row. */
export interface KlDivergenceOptions {
  /** `mean` over rows, `sum`, or `none` for one number per row. Default `mean`. */
  readonly reduction?: 'mean' | 'sum' | 'none';
}

/**
 * KL(softmax(targets) ‖ softmax(logits)) in nats along the last axis, from logits, fused with both log-softmaxes.
 * Gradients flow to both operands; detach() the teacher where only the student learns.
 * @param targets  f32 [..., V]: logits of the distribution that is approached
 * @param logits   f32 [..., V]
 * @returns        f32 [1], or [...] without reduction; ≥ 0
 * @throws ShapeError INVALID_ARGUMENT: shapes differ, or have no last axis
 */
export function klDivergence(targets: Tensor, logits: Tensor, options: KlDivergenceOptions = {}): Tensor {
  const { reduction = 'mean' } = options;
  const [t, z] = [float('klDivergence', targets, logits), float('klDivergence', logits, targets)];
  if (logits.shape.length < 2 || !sameShape(targets.shape, logits.shape)) {
    refuseShapes('klDivergence', 'must both be [...,V]', targets, logits);
  }
  const leading = logits.shape.slice(0, -1);
  const rows = sizeOf(leading);
  const matrix = [rows, lastAxis(logits.shape)];
  const api = native();
  const views = [api.view(t, 0, matrix), api.view(z, 0, matrix)] as const;
  const [losses, lseT, lseZ] = api.klDivergence(...views);
  for (const view of views) api.free(view);
  const factor = reduction === 'mean' ? 1 / rows : 1;
  const perRow = result(losses, [rows]);
  const out =
    reduction === 'none'
      ? result(api.view(losses, 0, leading), leading)
      : result(summed(losses, factor), [1]);
  const saved = [perRow, result(lseT, [rows]), result(lseZ, [rows])];
  if (!needsGraph(targets, logits)) {
    for (const tensor of saved) tensor.dispose();
    return out;
  }
  for (const tensor of saved) tensor.isIntermediate = true;
  return record(out, [targets, logits], [targets, logits, ...saved], (node) => {
    const dLoss =
      reduction === 'none'
        ? api.view(node.gradient, 0, [rows])
        : api.expandScalar(node.gradient, factor, null, rows);
    const operands = [api.view(targets.handle, 0, matrix), api.view(logits.handle, 0, matrix)] as const;
    const [loss, sumsT, sumsZ] = saved.map((tensor) => tensor.handle) as [Handle, Handle, Handle];
    const [dT, dZ] = api.klDivergenceBackward(...operands, loss, sumsT, sumsZ, dLoss, 1);
    for (const [input, gradient] of [
      [targets, dT],
      [logits, dZ],
    ] as const) {
      if (input.requiresGrad) node.give(input, api.view(gradient, 0, input.shape));
      api.free(gradient);
    }
    for (const view of operands) api.free(view);
    api.free(dLoss);
  });
}

function summed(losses: Handle, factor: number): Handle {
  const total = native().sum(losses, -1);
  native().scaleInPlace(total, factor);
  return total;
}
