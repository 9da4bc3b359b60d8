// Preloaded into one service (`--import`): its clock is wrong by FORGE_TEST_CLOCK_SHIFT_MS. performance.now() is not.
const shiftMs = Number(process.env.FORGE_TEST_CLOCK_SHIFT_MS ?? 0);
const trueNow = Date.now.bind(Date);

globalThis.Date = class extends Date {
  constructor(...given) {
    if (given.length === 0) super(trueNow() + shiftMs);
    else super(...given);
  }

  static now() {
    return trueNow() + shiftMs;
  }
};
