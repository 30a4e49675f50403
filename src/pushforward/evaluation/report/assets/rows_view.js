/* Two questions about single rows: how the density goes along one column, and what lies between two rows. */
(function (root) {
  "use strict";

  const { canvasOf, short, limits, translate, axisTicks, element, cut } = root.pushforward.draw;
  const POINTS = 240;
  const STEPS = 9;

  function rowSelect(data, label, chosen, changed) {
    const select = element("select", { "aria-label": label });
    data.texts.forEach((texts, row) => {
      select.append(element("option", { value: row }, cut(`row ${row + 1}: ${texts.join(", ")}`, 60)));
    });
    select.value = chosen;
    select.addEventListener("change", changed);
    return select;
  }

  const contextOf = (data, row) => (data.contexts ? data.contexts[row] : null);

  /** log p along one column through a row, the other columns fixed. */
  function sliceView(place, data) {
    const { flow, columns } = data;
    const row = rowSelect(data, "Row", 0, update);
    const column = element("select", { "aria-label": "Column" });
    columns.forEach((one, c) => column.append(element("option", { value: c }, one.name)));
    column.addEventListener("change", update);
    const canvas = element("canvas", { class: "wide", role: "img" });
    const sentence = element("p", { class: "note", "aria-live": "polite" });
    place.replaceChildren(element("div", { class: "controls" }, "Through ", row, " along ", column), canvas, sentence);
    let shown = null;
    const ask = canvasOf(canvas, draw);
    update();

    function update() {
      const c = Number(column.value);
      const x = data.rows[row.value];
      const context = contextOf(data, row.value);
      const [low, high] = limits([...data.rows.map((one) => one[c]), x[c]], 0, 0.15);
      const at = Array.from({ length: POINTS }, (_, place2) => low + (place2 / (POINTS - 1)) * (high - low));
      const logs = at.map((value) =>
        flow.logProb(
          x.map((own, d) => (d === c ? value : own)),
          context
        )
      );
      const most = Math.max(...logs);
      const curve = logs.map((value) => Math.exp(value - most));
      const mass = curve.reduce((sum, value) => sum + value, 0) * ((high - low) / (POINTS - 1));
      const here = flow.logProb(x, context);
      let below = 0;
      at.forEach((value, place2) => (below += value < x[c] ? curve[place2] : 0));
      const share = below / curve.reduce((sum, value) => sum + value, 0);
      shown = { c, low, high, at, curve: curve.map((value) => value / mass), value: x[c] };
      const others = columns.length > 1 ? "with the row's other values, " : "";
      sentence.textContent =
        `${columns[c].name} = ${translate(columns[c], x[c])}: ${others}${short(100 * share, 3)} % of the density lies below. ` +
        `The density here is ${short(100 * Math.exp(here - most), 3)} % of the highest on this line; log-density ${short(here)}.`;
      canvas.setAttribute("aria-label", `Density along ${columns[c].name}. ${sentence.textContent}`);
      ask();
    }

    function draw(context, width, height, colors) {
      const box = { x: 10, y: 8, width: width - 20, height: height - 44 };
      const { c, low, high, at, curve, value } = shown;
      const across = (one) => box.x + ((one - low) / (high - low)) * box.width;
      const bins = Math.max(16, Math.min(50, Math.round(box.width / 12)));
      const counts = new Float64Array(bins);
      for (const one of data.rows)
        counts[Math.min(bins - 1, Math.max(0, Math.floor(((one[c] - low) / (high - low)) * bins)))] += 1;
      const heights = counts.map((count) => ((count / data.rows.length) * bins) / (high - low));
      const most = 1.06 * Math.max(...curve, ...heights);
      const up = (one) => box.y + box.height * (1 - one / most);
      context.fillStyle = colors.data;
      context.globalAlpha = 0.3;
      heights.forEach((one, bin) =>
        context.fillRect(box.x + (bin * box.width) / bins, up(one), box.width / bins - 1, box.y + box.height - up(one))
      );
      context.globalAlpha = 1;
      context.strokeStyle = colors.model;
      context.lineWidth = 2;
      context.beginPath();
      at.forEach((one, place2) => context.lineTo(across(one), up(curve[place2])));
      context.stroke();
      context.strokeStyle = colors.text;
      context.setLineDash([4, 3]);
      context.beginPath();
      context.moveTo(across(value), box.y);
      context.lineTo(across(value), box.y + box.height);
      context.stroke();
      context.setLineDash([]);
      context.strokeStyle = colors.line;
      context.lineWidth = 1;
      context.strokeRect(box.x + 0.5, box.y + 0.5, box.width, box.height);
      context.fillStyle = colors.muted;
      context.textAlign = "center";
      for (const { at: tick, text } of axisTicks(columns[c], low, high, Math.max(3, Math.round(width / 110)))) {
        const x = across(tick);
        if (x > box.x + 12 && x < box.x + box.width - 12) context.fillText(cut(text, 12), x, box.y + box.height + 15);
      }
      context.fillStyle = colors.text;
      context.fillText(cut(columns[c].name, 40), box.x + box.width / 2, box.y + box.height + 31);
    }
  }

  /** Along a great arc: the length of a latent vector stays that of a typical one. */
  function between(a, b, part) {
    const [lengthA, lengthB] = [Math.hypot(...a), Math.hypot(...b)];
    const product = a.reduce((sum, value, d) => sum + value * b[d], 0);
    const cosine = Math.min(1, Math.max(-1, product / (lengthA * lengthB || 1)));
    const angle = Math.acos(cosine);
    if (angle < 1e-6 || a.length < 2 || Math.PI - angle < 1e-6)
      return Array.from(a, (value, d) => value + part * (b[d] - value));
    const [first, second] = [Math.sin((1 - part) * angle) / Math.sin(angle), Math.sin(part * angle) / Math.sin(angle)];
    const length = lengthA + part * (lengthB - lengthA);
    return Array.from(a, (value, d) => length * (first * (value / (lengthA || 1)) + second * (b[d] / (lengthB || 1))));
  }

  function interpolationView(place, data) {
    const { flow, columns } = data;
    const far = data.rows.reduce((best, row, index) => {
      const distance = (one) => Math.hypot(...one.map((value, d) => value - data.rows[0][d]));
      return distance(row) > distance(data.rows[best]) ? index : best;
    }, 0);
    const first = rowSelect(data, "First row", 0, update);
    const second = rowSelect(data, "Second row", far, update);
    const table = element("table", { class: "numbers" });
    const picture = element("canvas", { class: "path", role: "img" });
    const sentence = element("p", { class: "note", "aria-live": "polite" });
    const scroll = element(
      "div",
      { class: "scroll", tabindex: 0, role: "region", "aria-label": "Rows between the two" },
      table
    );
    const side = element("div", { class: "side" }, ...(columns.length > 1 ? [picture] : []), scroll);
    place.replaceChildren(element("div", { class: "controls" }, "From ", first, " to ", second), side, sentence);
    let shown = null;
    const ask = canvasOf(picture, draw);
    update();

    function update() {
      const [a, b] = [first, second].map((select) => data.rows[select.value]);
      const context = contextOf(data, first.value);
      const [zA, zB] = [a, b].map((x) => flow.inverse(x, context).value);
      const at = (part) => flow.forward(between(zA, zB, part), context).value;
      const straightAt = (part) => a.map((value, d) => value + part * (b[d] - value));
      const parts = Array.from({ length: STEPS }, (_, step) => step / (STEPS - 1));
      const path = parts.map(at);
      const logs = path.map((x) => flow.logProb(x, context));
      const straight = parts.map((part) => flow.logProb(straightAt(part), context));
      const fine = Array.from({ length: 61 }, (_, step) => at(step / 60));
      shown = { a, b, path, fine };
      shown.pair = widest(a, b);
      const heads = ["", ...columns.map((column) => column.name), "log-density"];
      const lines = path.map((x, step) =>
        element(
          "tr",
          {},
          element("th", { scope: "row" }, `${Math.round(100 * parts[step])} %`),
          ...Array.from(x, (value, d) => element("td", {}, translate(columns[d], value))),
          element("td", {}, short(logs[step]))
        )
      );
      table.replaceChildren(
        element("thead", {}, element("tr", {}, ...heads.map((text) => element("th", { scope: "col" }, text)))),
        element("tbody", {}, ...lines)
      );
      sentence.textContent =
        `Lowest log-density on the way through the latent space (line): ${short(Math.min(...logs))}; ` +
        `on the straight way (dashed): ${short(Math.min(...straight))}.` +
        (data.contexts ? " All densities are those given the conditions of the first row." : "");
      picture.setAttribute("aria-label", `The way between the two rows among all rows. ${sentence.textContent}`);
      ask();
    }

    /** The two columns in which the rows differ most. */
    function widest(a, b) {
      const ranges = columns.map((_, c) =>
        limits(
          [...data.rows, ...shown.fine].map((row) => row[c]),
          0.001
        )
      );
      const apart = columns.map((_, c) => Math.abs(a[c] - b[c]) / (ranges[c][1] - ranges[c][0]));
      // Of discrete columns a path shows less.
      const rank = (c) => apart[c] - (columns[c].discrete ? 10 : 0);
      const order = columns.map((_, c) => c).sort((c, d) => rank(d) - rank(c));
      return order
        .slice(0, 2)
        .sort((c, d) => c - d)
        .map((c) => ({ c, range: ranges[c] }));
    }

    function draw(context, width, height, colors) {
      const box = { x: 52, y: 6, width: width - 60, height: height - 44 };
      const [{ c, range: across }, { c: d, range: up }] = shown.pair;
      const pixel = (row) => [
        box.x + ((row[c] - across[0]) / (across[1] - across[0])) * box.width,
        box.y + box.height - ((row[d] - up[0]) / (up[1] - up[0])) * box.height,
      ];
      context.lineWidth = 1;
      context.strokeStyle = colors.line;
      context.strokeRect(box.x + 0.5, box.y + 0.5, box.width, box.height);
      context.fillStyle = colors.muted;
      for (const [axis, column, [low, high]] of [
        [0, c, across],
        [1, d, up],
      ]) {
        context.textAlign = axis ? "right" : "center";
        for (const { at, text } of axisTicks(columns[column], low, high, 4)) {
          const share = (at - low) / (high - low);
          if (share < 0.05 || share > 0.95) continue;
          if (axis) context.fillText(cut(text, 7), box.x - 4, box.y + (1 - share) * box.height + 4);
          else context.fillText(cut(text, 9), box.x + share * box.width, box.y + box.height + 15);
        }
      }
      context.fillStyle = colors.text;
      context.textAlign = "center";
      context.fillText(cut(columns[c].name, 30), box.x + box.width / 2, box.y + box.height + 31);
      context.textAlign = "left";
      context.fillText(cut(columns[d].name, 30), box.x + 5, box.y + 14);
      context.fillStyle = colors.data;
      context.globalAlpha = 0.45;
      for (const row of data.rows) {
        const [x, y] = pixel(row);
        context.fillRect(x - 1.2, y - 1.2, 2.4, 2.4);
      }
      context.globalAlpha = 1;
      context.strokeStyle = colors.muted;
      context.lineWidth = 1.5;
      context.setLineDash([5, 4]);
      context.beginPath();
      for (const row of [shown.a, shown.b]) context.lineTo(...pixel(row));
      context.stroke();
      context.setLineDash([]);
      context.strokeStyle = colors.model;
      context.lineWidth = 2.2;
      context.beginPath();
      for (const row of shown.fine) context.lineTo(...pixel(row));
      context.stroke();
      context.fillStyle = colors.model;
      for (const row of shown.path) {
        context.beginPath();
        context.arc(...pixel(row), 3.2, 0, 7);
        context.fill();
      }
    }
  }

  Object.assign(root.pushforward, { sliceView, interpolationView });
})(globalThis);
