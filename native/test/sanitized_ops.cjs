/** A call of every op through the addon, for scripts/sanitize.mjs: node sanitized_ops.cjs <forge.node> */
const { callAll } = require('./cuda_emulation/ops.cjs');

const addon = require(process.argv[2]);
console.log(`${Object.keys(callAll(addon)).length} ops called through the addon`);
