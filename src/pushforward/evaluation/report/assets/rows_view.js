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
    const column = element("select", { "aria-label": "Column", });
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
      const logs = at.map((value) => flow.logProb(x.map((own, d) => (d === c ? value : own)), context));
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
      for (const one of data.rows) counts[Math.min(bins - 1, Math.max(0, Math.floor(((one[c] - low) / (high - low)) * bins)))] += 1;
      const heights = counts.map((count) => ((count / data.rows.length) * bins) / (high - low));
      const most = 1.06 * Math.max(...curve, ...heights);
      const up = (one) => box.y + box.height * (1 - one / most);
      context.fillStyle = colors.data;
      context.globalAlpha = 0.3;
      heights.forEach((one, bin) => context.fillRect(box.x + (bin * box.width) / bins, up(one), box.width / bins - 1, box.y + box.height - up(one)));
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
    if (angle < 1e-6 || a.length < 2 || Math.PI - angle < 1e-6) return Array.from(a, (value, d) => value + part * (b[d] - value));
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
    const sentence = element("p", { class: "note", "aria-live": "polite" });
    const scroll = element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Rows between the two" }, table);
    place.replaceChildren(element("div", { class: "controls" }, "From ", first, " to ", second), scroll, sentence);
    update();

    function update() {
      const [a, b] = [first, second].map((select) => data.rows[select.value]);
      const context = contextOf(data, first.value);
      const [zA, zB] = [a, b].map((x) => flow.inverse(x, context).value);
      const parts = Array.from({ length: STEPS }, (_, step) => step / (STEPS - 1));
      const path = parts.map((part) => flow.forward(between(zA, zB, part), context).value);
      const logs = path.map((x) => flow.logProb(x, context));
      const straight = parts.map((part) => flow.logProb(a.map((value, d) => value + part * (b[d] - value)), context));
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
        `Lowest log-density on this path: ${short(Math.min(...logs))}; on the straight line between the two rows: ${short(Math.min(...straight))}.`;
    }
  }

  Object.assign(root.pushforward, { sliceView, interpolationView });
})(globalThis);
