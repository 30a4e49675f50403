/* What people give: rows, contexts, numbers of draws and levels. What is none of these is refused in a sentence. */
(function (root) {
  "use strict";

  /** A value in a sentence. */
  function shown(value) {
    if (typeof value === "string") return JSON.stringify(value);
    if (typeof value === "function") return "a function";
    if (typeof value !== "object" || value === null || value instanceof Date) return String(value);
    return Array.isArray(value) ? "an array" : "an object";
  }

  /** A copy of so many numbers, of which some may be NaN or infinite; `what` they are. */
  function numbersOf(values, size, what) {
    const expected = `Expected a ${what} of ${size} numbers, got`;
    const listed = Array.isArray(values) || (ArrayBuffer.isView(values) && "length" in values);
    if (!listed) throw new Error(`${expected} ${shown(values)}.`);
    if (values.length !== size) throw new Error(`${expected} ${values.length}.`);
    for (let place = 0; place < size; place++) {
      if (typeof values[place] === "number") continue;
      throw new Error(`${expected} ${shown(values[place])} at the place ${place}, counted from 0.`);
    }
    return Float64Array.from(values);
  }

  /** A context as an array that nobody changes, since steps remember what they found of it; null where there is none. */
  function contextOf(context, size) {
    const none = context === null || context === undefined;
    if (!size) {
      if (!none) throw new Error("This density takes no context.");
      return null;
    }
    if (none) throw new Error(`This density needs a context of ${size} numbers.`);
    return numbersOf(context, size, "context");
  }

  function checkCount(count) {
    if (Number.isSafeInteger(count) && count >= 0) return;
    throw new Error(`The number of draws is a whole number of at least 0, not ${shown(count)}.`);
  }

  function checkLevel(level) {
    if (typeof level === "number" && level >= 0 && level <= 1) return;
    throw new Error(`The level of a quantile is a number from 0 to 1, not ${shown(level)}.`);
  }

  Object.assign(root.pushforward.parts, { shown, numbersOf, contextOf, checkCount, checkLevel });
})(globalThis);
