import { gradCheck } from '@agentforge/tensor';
import { fill, own } from './operands.js';
import { OPERATIONS } from './operations.js';
import { keepTable, note } from './record.js';
import { TOLERANCES } from './tolerances.js';

const rows = OPERATIONS.filter(({ gradients }) => gradients.length > 0).flatMap((operation) =>
  (['regular', 'odd'] as const).flatMap((size) => {
    const operands = operation.sizes[size];
    const name = [operation.op, operation.variant, size].filter(Boolean).join(', ');
    return operands === undefined ? [] : [{ name, size, operation, operands }];
  }),
);

afterAll(() => keepTable('gradient'));

describe('every gradient against finite differences', () => {
  it.each(rows)('$name', ({ name, size, operation, operands }) => {
    const tensors = operands.map((operand, i) => own(operand, fill(operand, `${name}/${i}`)));
    const moved = tensors.filter((_, i) => operation.gradients.includes(i));
    const step = operation.step === undefined ? {} : { step: operation.step };
    const result = gradCheck(() => operation.run(...tensors), moved, step);
    for (const tensor of tensors) tensor.dispose();
    const allowed = TOLERANCES[operation.op]?.gradient ?? -1;
    note(operation, size, result.worst, allowed);
    expect({ ...result.at, isWithin: result.worst <= allowed }).toEqual({ ...result.at, isWithin: true });
  });
});
