/* What the gallery says of a point beside the figure: its density, term by term, and the Jacobians of the steps. */
(function (root) {
  "use strict";

  const { short, element } = root.pushforward.draw;
  const SMALL = 1e-4;

  /** ∂(after the steps)/∂(before them) at a row, by central differences. */
  function jacobian(flow, row, from, to) {
    const columns = Array.from(row, (_, d) => {
      const [above, below] = [SMALL, -SMALL].map((shift) => {
        const moved = Float64Array.from(row);
        moved[d] += shift;
        flow.through(moved, from, to);
        return moved;
      });
      return Array.from(above, (value, e) => (value - below[e]) / (2 * SMALL));
    });
    return columns.map((_, e) => columns.map((column) => (Math.abs(column[e]) < 1e-9 ? 0 : column[e])));
  }

  function jacobianTable(flow, row, from, to, caption) {
    // A larger one has to fit a phone.
    const digits = row.length > 3 ? 2 : 3;
    const lines = jacobian(flow, row, from, to).map((line) =>
      element(
        "tr",
        {},
        ...line.map((value) => element("td", value === 0 ? { class: "zero" } : {}, short(value, digits)))
      )
    );
    return element("table", { class: "jacobian" }, element("caption", {}, caption), element("tbody", {}, ...lines));
  }

  const vector = (row) => `(${Array.from(row, (value) => short(value, 3)).join(", ")})`;

  /** The sentence and the tables below a figure of layers. */
  function lesson(flow, point, stage) {
    const base = flow.baseLogProb(point[0]);
    const logDet = flow.through(Float64Array.from(point[0]), 0, stage);
    if (stage === 0) {
      return {
        sentence: `z = ${vector(point[0])} has log p(z) = ${short(base, 3)}. No step has been taken.`,
        tables: [],
      };
    }
    const area = Math.exp(logDet);
    const change =
      Math.abs(logDet) < 1e-9
        ? "The disk has kept its area."
        : `The disk has ${short(area, 3)} times the area it began with.`;
    const steps = stage === 1 ? "step 1" : `steps 1 to ${stage}`;
    const tables = [jacobianTable(flow, point[stage - 1], stage - 1, stage, `Jacobian of step ${stage} alone`)];
    if (stage > 1) tables.push(jacobianTable(flow, point[0], 0, stage, `Jacobian of ${steps} together`));
    return {
      sentence:
        `After ${steps}, z = ${vector(point[0])} is at ${vector(point[stage])}. ${change} ` +
        `Its log-density is log p(z) − log|det| = ${short(base, 3)} − (${short(logDet, 3)}) = ${short(base - logDet, 3)}.`,
      tables,
    };
  }

  root.pushforward = Object.assign(root.pushforward, { lesson, jacobianTable });
})(globalThis);
