/* The change of variables in one dimension: a map, the densities on both of its sides, and an interval that is dragged. */
(function (root) {
  "use strict";

  const { canvasOf, ticks, short, limits, element, within, ring, draggable } = root.pushforward.draw;
  const POINTS = 401;
  const REACH = 3.4;
  const STEP = 0.25;

  /** data: {flow, rows: [[x], ...]} */
  function oneDimensionView(place, data) {
    const { flow } = data;
    const last = flow.steps.length;
    const rows = data.rows.map((row) => row[0]);
    const range = limits(rows, 0.001, 0.12);
    let stage = last;
    let z = 0.6;

    const canvas = element("canvas", { class: "one", tabindex: 0, role: "application" });
    const slider = element("input", { type: "range", min: 0, max: last, step: 1, value: last, "aria-label": "Steps" });
    const where = element("output", { class: "where" });
    const words = element("p", { class: "note", "aria-live": "polite" });
    place.replaceChildren(element("div", { class: "controls" }, "Steps ", slider, where), canvas, words);
    const ask = canvasOf(canvas, draw);

    /** x and the logarithm of its derivative after the first steps of the flow. */
    function image(value) {
      const row = Float64Array.of(value);
      const logDet = flow.through(row, 0, stage);
      return { x: row[0], logDet };
    }

    function back(x) {
      const row = Float64Array.of(x);
      flow.through(row, stage, 0);
      return row[0];
    }

    slider.addEventListener("input", () => {
      stage = Number(slider.value);
      update();
    });

    function update() {
      const { x, logDet } = image(z);
      const base = flow.baseLogProb([z]);
      where.textContent = stage === 0 ? "none: x = z" : `${stage} of ${last}`;
      canvas.setAttribute(
        "aria-label",
        `A map from z to x with the densities of both. z is ${short(z, 3)}, x is ${short(x, 3)}. Arrow keys move the point.`
      );
      words.textContent =
        `z = ${short(z, 3)} goes to x = ${short(x, 3)}, where the map has the slope ${short(Math.exp(logDet), 3)}. ` +
        `log p(x) = log p(z) − log|∂x/∂z| = ${short(base, 3)} − (${short(logDet, 3)}) = ${short(base - logDet, 3)}.`;
      place.dataset.point = JSON.stringify({ z, x, logProb: base - logDet, stage });
      ask();
    }

    /* The map in the upper right; the density of z below it, that of x to its left, lying on its side. */
    function boxes(width, height) {
      const side = Math.min(170, 0.3 * width);
      const low = Math.min(130, 0.28 * height);
      return {
        map: { x: side + 34, y: 8, width: width - side - 44, height: height - low - 52 },
        left: { x: 6, y: 8, width: side - 10, height: height - low - 52 },
        below: { x: side + 34, y: height - low - 22, width: width - side - 44, height: low },
      };
    }
    const across = (box, value) => box.x + ((value + REACH) / (2 * REACH)) * box.width;
    const up = (box, value) => box.y + (1 - (value - range[0]) / (range[1] - range[0])) * box.height;

    function draw(context, width, height, colors) {
      const { map, left, below } = boxes(width, height);
      const grid = Array.from({ length: POINTS }, (_, step) => -REACH + (2 * REACH * step) / (POINTS - 1));
      const images = grid.map(image);
      const base = grid.map((value) => Math.exp(flow.baseLogProb([value])));
      const pushed = images.map(({ logDet }, step) => base[step] * Math.exp(-logDet));
      const highest = 1.1 * Math.max(...base);
      const inside = pushed.filter((_, step) => images[step].x > range[0] && images[step].x < range[1]);
      // The data's own histogram has its place too.
      const bins = 60;
      const counts = new Float64Array(bins);
      for (const x of rows) {
        const bin = Math.floor(((x - range[0]) / (range[1] - range[0])) * bins);
        if (bin >= 0 && bin < bins) counts[bin] += bins / (rows.length * (range[1] - range[0]));
      }
      const widest = 1.1 * Math.max(...inside, ...counts);
      const sideways = (density) => left.x + left.width * (1 - Math.min(density, widest) / widest);
      const tall = (density) => below.y + below.height * (1 - density / highest);

      context.lineWidth = 1;
      for (const box of [map, left, below]) {
        context.strokeStyle = colors.line;
        context.strokeRect(box.x + 0.5, box.y + 0.5, box.width, box.height);
      }
      context.fillStyle = colors.data;
      context.globalAlpha = 0.3;
      counts.forEach((count, bin) => {
        const size = left.height / bins;
        context.fillRect(
          sideways(count),
          left.y + left.height - (bin + 1) * size,
          left.x + left.width - sideways(count),
          size - 0.5
        );
      });
      context.globalAlpha = 1;

      // The interval around z and its image: the areas over both are the same probability.
      const [start, end] = [z - STEP / 2, z + STEP / 2];
      const [xStart, xEnd] = [image(start).x, image(end).x];
      context.fillStyle = colors.model;
      within(context, below, () => {
        context.beginPath();
        context.moveTo(across(below, start), below.y + below.height);
        for (let part = 0; part <= 20; part++) {
          const value = start + (part / 20) * STEP;
          context.lineTo(across(below, value), tall(Math.exp(flow.baseLogProb([value]))));
        }
        context.lineTo(across(below, end), below.y + below.height);
        context.globalAlpha = 0.6;
        context.fill();
      });
      within(context, left, () => {
        context.beginPath();
        context.moveTo(left.x + left.width, up(left, xStart));
        for (let part = 0; part <= 20; part++) {
          const value = start + (part / 20) * STEP;
          const { x, logDet } = image(value);
          context.lineTo(sideways(Math.exp(flow.baseLogProb([value]) - logDet)), up(left, x));
        }
        context.lineTo(left.x + left.width, up(left, xEnd));
        context.globalAlpha = 0.6;
        context.fill();
      });
      context.globalAlpha = 0.16;
      within(context, map, () => {
        context.fillRect(across(map, start), map.y, across(map, end) - across(map, start), map.height);
        context.fillRect(map.x, up(map, xEnd), map.width, up(map, xStart) - up(map, xEnd));
      });
      context.globalAlpha = 1;

      context.lineWidth = 2;
      const curve = (box, color, at) =>
        within(context, box, () => {
          context.strokeStyle = color;
          context.beginPath();
          grid.forEach((value, step) => context.lineTo(...at(value, step)));
          context.stroke();
        });
      curve(map, colors.accent, (value, step) => [across(map, value), up(map, images[step].x)]);
      curve(below, colors.text, (value, step) => [across(below, value), tall(base[step])]);
      curve(left, colors.text, (_, step) => [sideways(pushed[step]), up(left, images[step].x)]);

      const { x } = image(z);
      context.strokeStyle = colors.muted;
      context.lineWidth = 1;
      context.setLineDash([4, 3]);
      context.beginPath();
      context.moveTo(across(map, z), below.y + below.height);
      context.lineTo(across(map, z), up(map, x));
      context.lineTo(left.x, up(map, x));
      context.stroke();
      context.setLineDash([]);
      ring(context, [across(map, z), up(map, x)], colors);

      context.fillStyle = colors.muted;
      context.textAlign = "center";
      for (const tick of ticks(-REACH, REACH, 6))
        context.fillText(short(tick), across(below, tick), below.y + below.height + 15);
      context.textAlign = "right";
      for (const tick of ticks(...range, 6)) context.fillText(short(tick), map.x - 5, up(map, tick) + 4);
      context.fillStyle = colors.text;
      context.textAlign = "left";
      context.fillText("p(z)", below.x + 6, below.y + 16);
      context.fillText("p(x)", left.x + 6, left.y + 16);
      context.fillText("x = f(z)", map.x + 6, map.y + 16);
    }

    function moveTo(value) {
      z = Math.min(REACH - STEP, Math.max(STEP - REACH, value));
      update();
    }
    draggable(canvas, {
      put(x, y, width, height) {
        const { map, left } = boxes(width, height);
        // To the left of the map one drags x, elsewhere z.
        if (x < left.x + left.width) moveTo(back(range[0] + (1 - (y - map.y) / map.height) * (range[1] - range[0])));
        else moveTo(((x - map.x) / map.width) * 2 * REACH - REACH);
      },
      nudge: (right, up) => moveTo(z + 0.1 * (right + up)),
    });
    update();
  }

  root.pushforward.oneDimensionView = oneDimensionView;
})(globalThis);
