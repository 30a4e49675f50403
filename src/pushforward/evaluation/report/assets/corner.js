/* The corner plot: rows as dots, the densest regions of rows and of draws as outlines, and histograms on the diagonal. */
(function (root) {
  "use strict";

  const { canvasOf, limits, axisTicks, element, cut } = root.pushforward.draw;
  const REGIONS = [0.5, 0.9];
  const CELLS = 52;

  /** Counts on a grid, smoothed by a Gaussian. */
  function density(points, [xLow, xHigh], [yLow, yHigh]) {
    const counts = new Float64Array(CELLS * CELLS);
    for (const [x, y] of points) {
      const column = Math.floor(((x - xLow) / (xHigh - xLow)) * CELLS);
      const row = Math.floor(((y - yLow) / (yHigh - yLow)) * CELLS);
      if (column >= 0 && column < CELLS && row >= 0 && row < CELLS) counts[row * CELLS + column] += 1;
    }
    const deviation = 1.25 * Math.max(1, (2000 / Math.max(points.length, 60)) ** (1 / 4));
    const reach = Math.ceil(3 * deviation);
    const weights = Array.from({ length: 2 * reach + 1 }, (_, place) =>
      Math.exp(-0.5 * ((place - reach) / deviation) ** 2)
    );
    const blur = (from, step, other) => {
      const to = new Float64Array(from.length);
      for (let line = 0; line < CELLS; line++) {
        for (let at = 0; at < CELLS; at++) {
          let sum = 0;
          for (let shift = -reach; shift <= reach; shift++) {
            const place = at + shift;
            if (place >= 0 && place < CELLS) sum += weights[shift + reach] * from[line * other + place * step];
          }
          to[line * other + at * step] = sum;
        }
      }
      return to;
    };
    return blur(blur(counts, 1, CELLS), CELLS, 1);
  }

  /** The level above which the densest cells hold a share of all. */
  function level(cells, share) {
    const sorted = Float64Array.from(cells).sort().reverse();
    const total = sorted.reduce((sum, value) => sum + value, 0);
    let sum = 0;
    for (const value of sorted) {
      sum += value;
      if (sum >= share * total) return value;
    }
    return 0;
  }

  /** Marching squares: segments in units of cells where the density crosses a level. */
  function outline(cells, threshold) {
    const segments = [];
    const value = (row, column) => {
      return row < 0 || column < 0 || row >= CELLS || column >= CELLS ? 0 : cells[row * CELLS + column];
    };
    for (let row = -1; row < CELLS; row++) {
      for (let column = -1; column < CELLS; column++) {
        const corners = [
          value(row, column),
          value(row, column + 1),
          value(row + 1, column + 1),
          value(row + 1, column),
        ];
        const crossings = [];
        for (let side = 0; side < 4; side++) {
          const a = corners[side];
          const b = corners[(side + 1) % 4];
          if (a >= threshold === b >= threshold) continue;
          const part = (threshold - a) / (b - a);
          const [x, y] = [
            [part, 0],
            [1, part],
            [1 - part, 1],
            [0, 1 - part],
          ][side];
          crossings.push([column + x + 0.5, row + y + 0.5]);
        }
        for (let pair = 0; pair + 1 < crossings.length; pair += 2)
          segments.push([crossings[pair], crossings[pair + 1]]);
      }
    }
    return segments;
  }

  /**
   * Draw a corner plot into an element.
   *
   * data: {columns: [{name, plain, at, texts, discrete}], rows: [[...]], draws: [[...]], first: [places to begin with]}
   */
  function corner(place, data) {
    const spread = (rows) => {
      // Values of discrete columns lie on one another: spread them within their step, always in the same way.
      let state = 1;
      const random = () => (state = (state * 16807) % 2147483647) / 2147483647 - 0.5;
      return rows.map((row) =>
        row.map((value, c) => (value === null ? NaN : value + (data.columns[c].discrete ? 0.7 * random() : 0)))
      );
    };
    const rows = spread(data.rows);
    const draws = spread(data.draws);
    const ranges = data.columns.map((_, c) => limits([...rows, ...draws.slice(0, rows.length)].map((row) => row[c])));
    const narrow = root.matchMedia("(max-width: 640px)").matches;
    let chosen = data.first.slice(0, narrow ? 3 : 5).sort((a, b) => a - b);

    const canvas = element("canvas", { class: "corner", role: "img" });
    const boxes = element("fieldset", { class: "choices" }, element("legend", {}, "Columns"));
    data.columns.forEach((column, c) => {
      const box = element("input", { type: "checkbox", value: c });
      box.checked = chosen.includes(c);
      box.addEventListener("change", () => {
        const now = [...boxes.querySelectorAll("input:checked")].map((one) => Number(one.value));
        if (now.length < 1) {
          box.checked = true;
          return;
        }
        chosen = now;
        describe();
        ask();
      });
      boxes.append(element("label", {}, box, ` ${column.name}`));
    });
    if (data.columns.length > 1) place.append(boxes);
    place.append(canvas);
    describe();
    const ask = canvasOf(canvas, draw);

    function describe() {
      const names = chosen.map((c) => data.columns[c].name).join(", ");
      canvas.setAttribute(
        "aria-label",
        `Corner plot of ${names}: dots are rows, lines enclose the densest 50 and 90 % of rows and of draws.`
      );
      canvas.dataset.columns = chosen.length;
    }

    function draw(context, width, height, colors) {
      // Texts of levels need more room than numbers.
      const left = chosen.slice(1).every((c) => data.columns[c].plain) ? 46 : 74;
      const below = 40;
      const size = (width - left - 6) / chosen.length;
      const tall = (height - below - 6) / chosen.length;
      chosen.forEach((yColumn, row) => {
        chosen.slice(0, row + 1).forEach((xColumn, column) => {
          const box = { x: left + column * size, y: 6 + row * tall, width: size - 6, height: tall - 6 };
          context.save();
          context.beginPath();
          context.rect(box.x, box.y, box.width, box.height);
          context.clip();
          if (row === column) histogram(context, box, xColumn, colors);
          else cell(context, box, xColumn, yColumn, colors);
          context.restore();
          context.strokeStyle = colors.line;
          context.lineWidth = 1;
          context.strokeRect(box.x + 0.5, box.y + 0.5, box.width, box.height);
          labels(context, box, xColumn, yColumn, row, column, colors);
        });
      });
    }

    function labels(context, box, xColumn, yColumn, row, column, colors) {
      const axis = data.columns[xColumn];
      const longest = axis.plain ? 5 : Math.min(7, Math.max(...axis.texts.map((text) => text.length)));
      const few = Math.max(2, Math.min(5, Math.floor(box.width / (15 + 6.5 * longest))));
      context.fillStyle = colors.muted;
      context.textAlign = "center";
      if (row === chosen.length - 1) {
        const [low, high] = ranges[xColumn];
        for (const { at, text } of axisTicks(data.columns[xColumn], low, high, few)) {
          const x = box.x + ((at - low) / (high - low)) * box.width;
          if (x > box.x + 8 && x < box.x + box.width - 8) context.fillText(cut(text, 7), x, box.y + box.height + 14);
        }
        context.fillStyle = colors.text;
        context.fillText(
          cut(data.columns[xColumn].name, Math.floor(box.width / 6)),
          box.x + box.width / 2,
          box.y + box.height + 31
        );
      }
      if (column === 0 && row > 0) {
        const [low, high] = ranges[yColumn];
        context.textAlign = "right";
        context.fillStyle = colors.muted;
        for (const { at, text } of axisTicks(data.columns[yColumn], low, high, few)) {
          const y = box.y + box.height - ((at - low) / (high - low)) * box.height;
          if (y > box.y + 8 && y < box.y + box.height - 4)
            context.fillText(cut(text, data.columns[yColumn].plain ? 5 : 8), box.x - 4, y + 4);
        }
        context.save();
        context.translate(11, box.y + box.height / 2);
        context.rotate(-Math.PI / 2);
        context.textAlign = "center";
        context.fillStyle = colors.text;
        context.fillText(cut(data.columns[yColumn].name, Math.floor(box.height / 6)), 0, 0);
        context.restore();
      }
    }

    function histogram(context, box, column, colors) {
      const [low, high] = ranges[column];
      const bins = Math.max(12, Math.min(36, Math.floor(box.width / 5)));
      const shares = [rows, draws].map((some) => {
        const counts = new Float64Array(bins);
        let present = 0;
        for (const row of some) {
          const bin = Math.floor(((row[column] - low) / (high - low)) * bins);
          if (bin >= 0 && bin < bins) counts[bin] += 1;
          if (!Number.isNaN(row[column])) present += 1;
        }
        return counts.map((count) => count / Math.max(present, 1));
      });
      const most = 1.1 * Math.max(...shares[0], ...shares[1]);
      const up = (share) => box.y + box.height * (1 - share / most);
      const step = box.width / bins;
      context.fillStyle = colors.data;
      context.globalAlpha = 0.45;
      shares[0].forEach((share, bin) =>
        context.fillRect(box.x + bin * step, up(share), step + 0.4, box.y + box.height - up(share))
      );
      context.globalAlpha = 1;
      context.strokeStyle = colors.model;
      context.lineWidth = 1.6;
      context.beginPath();
      shares[1].forEach((share, bin) => {
        context.lineTo(box.x + bin * step, up(share));
        context.lineTo(box.x + (bin + 1) * step, up(share));
      });
      context.stroke();
    }

    function cell(context, box, xColumn, yColumn, colors) {
      const [xRange, yRange] = [ranges[xColumn], ranges[yColumn]];
      const pairs = [rows, draws].map((some) => some.map((row) => [row[xColumn], row[yColumn]]));
      context.fillStyle = colors.data;
      context.globalAlpha = 0.5;
      for (const [x, y] of pairs[0]) {
        const across = box.x + ((x - xRange[0]) / (xRange[1] - xRange[0])) * box.width;
        const up = box.y + box.height - ((y - yRange[0]) / (yRange[1] - yRange[0])) * box.height;
        context.fillRect(across - 1, up - 1, 2, 2);
      }
      context.globalAlpha = 1;
      [colors.data, colors.model].forEach((color, which) => {
        const cells = density(pairs[which], xRange, yRange);
        context.strokeStyle = color;
        REGIONS.forEach((share, order) => {
          context.lineWidth = order === 0 ? 1.8 : 1.2;
          context.beginPath();
          for (const [[x1, y1], [x2, y2]] of outline(cells, level(cells, share))) {
            context.moveTo(box.x + (x1 / CELLS) * box.width, box.y + box.height * (1 - y1 / CELLS));
            context.lineTo(box.x + (x2 / CELLS) * box.width, box.y + box.height * (1 - y2 / CELLS));
          }
          context.stroke();
        });
      });
    }
  }

  root.pushforward.corner = corner;
})(globalThis);
