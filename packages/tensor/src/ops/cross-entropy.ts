import type { Handle } from '@agentforge/native';
import { needsGraph, record } from '../autograd/record.js';
import { native } from '../backend.js';
import { sizeOf } from '../dtype.js';
import { Tensor } from '../tensor.js';
import { float, integer, lastAxis, refuseShapes, result } from './operand.js';

/** Which targets count, and what becomes of the loss of each row. */
export interface CrossEntropyOptions {
  /** Rows with this target lose nothing and give no gradient. Default −100. */
  readonly ignoreIndex?: number;
  /** `mean` over the rows that count (NaN when none does), `sum`, or `none` for one loss per row. Default `mean`. */
  readonly reduction?: 'mean' | 'sum' | 'none';
}

/**
 * Cross entropy in nats of logits[..., V] against class indices i32[...], fused with log-softmax.
 * @returns f32 [1], or the targets' shape without reduction
 * @throws ShapeError INVALID_ARGUMENT: the leading axes of logits hold another number of rows than targets
 * @throws ArgumentError INVALID_ARGUMENT: a target outside 0..V−1 that is not ignored
 */
export function crossEntropy(logits: Tensor, targets: Tensor, options: CrossEntropyOptions = {}): Tensor {
  const { ignoreIndex = -100, reduction = 'mean' } = options;
  const [x, ids] = [float('crossEntropy', logits, targets), integer('crossEntropy', targets, logits)];
  const rows = sizeOf(logits.shape.slice(0, -1));
  if (logits.shape.length < 2 || rows !== targets.size) {
    refuseShapes('crossEntropy', 'must be [...,V] and one target per row', logits, targets);
  }
  const api = native();
  const matrix = api.view(x, 0, [rows, lastAxis(logits.shape)]);
  const flatTargets = api.view(ids, 0, [rows]);
  const [losses, lseHandle] = api.crossEntropy(matrix, flatTargets, ignoreIndex);
  for (const view of [matrix, flatTargets]) api.free(view);
  const weight = reduction === 'mean' ? new Tensor(api.targetWeight(ids, ignoreIndex), 'f64', [1]) : null;
  const out = reduction === 'none' ? rowLosses(losses, targets) : result(reduceLosses(losses, weight), [1]);
  if (!needsGraph(logits)) {
    api.free(lseHandle);
    weight?.dispose();
    return out;
  }
  const lse = result(lseHandle, [rows]);
  lse.isIntermediate = true;
  if (weight !== null) weight.isIntermediate = true;
  const saved = weight === null ? [logits, targets, lse] : [logits, targets, lse, weight];
  return record(out, [logits], saved, (node) => {
    // The slope of each row, made where the gradient is: reading it would wait for the device.
    const perRow =
      reduction === 'none'
        ? api.view(node.gradient, 0, [rows])
        : api.expandScalar(node.gradient, 1, weight?.handle ?? null, rows);
    const isInPlace = node.mayOverwrite(logits);
    const input = isInPlace ? logits.surrender() : logits.handle;
    const shaped = api.view(input, 0, [rows, lastAxis(logits.shape)]);
    const flat = api.view(targets.handle, 0, [rows]);
    const dLogits = api.crossEntropyBackward(shaped, flat, lse.handle, perRow, 1, ignoreIndex, isInPlace);
    api.free(perRow);
    api.free(flat);
    if (isInPlace) {
      api.free(shaped);
      node.give(logits, input);
    } else {
      api.free(shaped);
      node.give(logits, api.view(dLogits, 0, logits.shape));
      api.free(dLogits);
    }
  });
}

function rowLosses(losses: Handle, targets: Tensor): Tensor {
  const shaped = native().view(losses, 0, targets.shape);
  native().free(losses);
  return result(shaped, targets.shape);
}

/** Sum of the row losses, times a weight. */
function reduceLosses(losses: Handle, weight: Tensor | null): Handle {
  const total = native().sum(losses, -1);
  native().free(losses);
  if (weight !== null) native().scaleBy(total, weight.handle);
  return total;
}
