/* Arrays of a model file, and functions of numbers that JavaScript lacks. */
(function (root) {
  "use strict";

  root.pushforward = root.pushforward || {};
  root.pushforward.parts = root.pushforward.parts || {};

  const LOG_2PI = Math.log(2 * Math.PI);
  /** The smallest number with all its digits. */
  const TINY = 2 ** -1022;

  /** Arrays travel as base64 of their little-endian bytes: {shape, f4} or {shape, f8}; whole numbers as plain lists. */
  function numbers(packed) {
    if (packed === null || packed === undefined) return null;
    if (Array.isArray(packed)) return Float64Array.from(packed);
    const bytes = Uint8Array.from(atob(packed.f4 || packed.f8 || ""), (character) => character.charCodeAt(0));
    const found = packed.f4 ? new Float32Array(bytes.buffer) : new Float64Array(bytes.buffer);
    return Float64Array.from(found);
  }

  /** A matrix by rows, and up to which column each row has entries: half of a masked matrix is never multiplied. */
  function matrix(packed) {
    if (packed === null || packed === undefined) return null;
    const values = numbers(packed);
    const [rows, columns] = packed.shape;
    const reach = new Int32Array(rows);
    for (let row = 0; row < rows; row++) {
      let end = columns;
      while (end > 0 && values[row * columns + end - 1] === 0) end--;
      reach[row] = end;
    }
    return { values, rows, columns, reach };
  }

  function dot(weight, row, vector) {
    const { values, columns, reach } = weight;
    const start = row * columns;
    let sum = 0;
    for (let column = 0; column < reach[row]; column++) sum += values[start + column] * vector[column];
    return sum;
  }

  const softplus = (value) => Math.max(value, 0) + Math.log1p(Math.exp(-Math.abs(value)));
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  function logSumExp(terms) {
    const largest = Math.max(...terms);
    if (!Number.isFinite(largest)) return largest;
    return largest + Math.log(terms.reduce((sum, term) => sum + Math.exp(term - largest), 0));
  }

  const logAddExp = (a, b) => logSumExp([a, b]);

  /** Where an increasing function of value and slope is 0: Newton's method within a bracket, else bisection. */
  function increasingRoot(excess, low, high) {
    const room = 64 * Number.EPSILON * Math.max(Math.abs(low), Math.abs(high));
    low -= room;
    high += room;
    let a = low + (high - low) / 2;
    let before = high - low;
    for (let step = 0; step < 200; step++) {
      const [value, slope] = excess(a);
      if (value === 0) break;
      if (value < 0) low = a;
      else high = a;
      const middle = low + (high - low) / 2;
      const newton = a - value / slope;
      const trusted = newton > low && newton < high && Math.abs(newton - a) < Math.abs(before) / 2;
      const next = trusted ? newton : middle;
      if (next === a || middle <= low || middle >= high) break;
      before = next - a;
      a = next;
    }
    return a;
  }

  Object.assign(root.pushforward.parts, {
    LOG_2PI, TINY, numbers, matrix, dot, softplus, clamp, logSumExp, logAddExp, increasingRoot,
  });
})(globalThis);
