/* One autoregressive layer, unit by unit: what its network reads, and so which of the two directions has to wait.
 *
 * k_d = shift_d + exp(s_d) o_d, where the network reads k_1 … k_{d-1}: k is x in a masked layer, and z in an inverse one.
 */
(function (root) {
  "use strict";

  const { short, element } = root.pushforward.draw;
  const { jacobianTable } = root.pushforward;
  const REACH = 2.5;
  const SUBSCRIPTS = "₀₁₂₃₄₅₆₇₈₉";

  const named = (space, d) => `${space}${SUBSCRIPTS[d + 1]}`;

  /** data: {flow: one affine autoregressive layer, rows} */
  function orderView(place, data) {
    const { flow } = data;
    const size = flow.features;
    const read = flow.steps[0].swapped ? "z" : "x";
    const units = Array.from({ length: size }, (_, d) => d);
    const directions = { z: "Draw: z → x", x: "Density: x → z" };
    const point = { x: Float64Array.from(data.rows[0]) };
    point.z = flow.inverse(point.x).value;
    let given = "z";
    let pass = 0;

    const sequential = () => given !== read;
    const passes = () => (sequential() ? size : 1);
    const computed = () => (given === "z" ? "x" : "z");
    const found = (d) => (sequential() ? d < pass : pass === 1);

    /* ---- the controls ---- */

    const choices = element("fieldset", { class: "choices" }, element("legend", {}, "Direction"));
    for (const [space, text] of Object.entries(directions)) {
      const button = element("input", { type: "radio", name: "direction", value: space });
      button.checked = space === given;
      button.addEventListener("change", () => ((given = space), go(0)));
      choices.append(element("label", {}, button, ` ${text}`));
    }
    const slider = element("input", {
      type: "range",
      min: 0,
      step: 1,
      value: 0,
      "aria-label": "Passes of the network",
    });
    const back = element("button", { type: "button", "aria-label": "One pass back" }, "‹");
    const ahead = element("button", { type: "button", "aria-label": "One pass ahead" }, "›");
    const where = element("output", { class: "where" });
    slider.addEventListener("input", () => go(Number(slider.value)));
    back.addEventListener("click", () => go(pass - 1));
    ahead.addEventListener("click", () => go(pass + 1));

    function go(to) {
      pass = Math.min(passes(), Math.max(0, to));
      update();
    }

    /* ---- the diagram: both spaces with the outputs of the network between them ---- */

    const spaceRow = (space) =>
      units.map((d) => {
        const value = element("b", {});
        const range = element("input", {
          type: "range",
          min: -REACH,
          max: REACH,
          step: 0.01,
          "aria-label": named(space, d),
        });
        range.addEventListener("input", () => {
          point[space][d] = Number(range.value);
          point[computed()] = (space === "z" ? flow.forward(point.z) : flow.inverse(point.x)).value;
          update();
        });
        return {
          cell: element("div", { class: "unit" }, element("span", {}, named(space, d)), value, range),
          value,
          range,
        };
      });
    const spaces = { z: spaceRow("z"), x: spaceRow("x") };
    const outputs = units.map((d) => {
      const value = element("span", {});
      return { cell: element("div", { class: "unit net" }, element("span", {}, `unit ${d + 1}`), value), value };
    });
    const bands = { z: band(), x: band() };
    const words = element("p", { class: "point", "aria-live": "polite" });
    const tables = element("div", { class: "readout" });
    const rowOf = (name, cells) =>
      element("div", { class: "units", role: "group", "aria-label": name }, ...cells.map((one) => one.cell));
    place.replaceChildren(
      choices,
      element("div", { class: "controls" }, back, slider, ahead, where),
      element(
        "div",
        { class: "order" },
        rowOf("z, the base space", spaces.z),
        bands.z,
        rowOf("outputs of the network", outputs),
        bands.x,
        rowOf("x, the data", spaces.x)
      ),
      words,
      tables
    );

    function band() {
      const made = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      for (const [name, value] of Object.entries({
        viewBox: "0 0 100 10",
        preserveAspectRatio: "none",
        "aria-hidden": true,
      })) {
        made.setAttribute(name, value);
      }
      return made;
    }

    /** Lines from what the network reads to its outputs, and the vertical ones of the map itself. */
    function connect() {
      const at = (d) => (100 * (d + 0.5)) / size;
      for (const space of ["z", "x"]) {
        const [top, bottom] = space === "z" ? ["space", "unit"] : ["unit", "space"];
        const lines = [];
        for (const d of units) {
          const lit = found(d);
          const now = sequential() ? d === pass - 1 : pass === 1;
          for (const e of space === read ? units.slice(0, d) : []) {
            const ends = { space: at(e) + 1.2, unit: at(d) - 1.2 };
            lines.push({ from: ends[top], to: ends[bottom], lit, now });
          }
          lines.push({ from: at(d), to: at(d), lit, now: false, map: true });
        }
        // Those of this pass lie over the others.
        lines.sort((a, b) => a.now - b.now);
        bands[space].replaceChildren(...lines.map(lineOf));
      }
    }

    function lineOf({ from, to, lit, now, map }) {
      const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
      const attributes = { x1: from, y1: 0, x2: to, y2: 10, "vector-effect": "non-scaling-stroke" };
      for (const [name, value] of Object.entries(attributes)) line.setAttribute(name, value);
      line.setAttribute("class", `${map ? "map" : "reads"}${now ? " now" : lit ? " lit" : ""}`);
      return line;
    }

    /* ---- the numbers ---- */

    /** Shift and scale of every unit: k_d is affine in o_d. */
    function affine() {
      const other = read === "x" ? "z" : "x";
      return units.map((d) => {
        const moved = Float64Array.from(point[other]);
        moved[d] += 1;
        const k = (other === "z" ? flow.forward(moved) : flow.inverse(moved)).value[d];
        const scale = k - point[read][d];
        return { shift: point[read][d] - scale * point[other][d], s: Math.log(scale) };
      });
    }

    function update() {
      const parts = affine();
      slider.max = passes();
      slider.value = pass;
      where.textContent = `${pass} of ${passes()} ${passes() === 1 ? "pass" : "passes"}`;
      slider.setAttribute("aria-valuetext", where.textContent);
      back.disabled = pass === 0;
      ahead.disabled = pass === passes();
      for (const space of ["z", "x"]) {
        spaces[space].forEach(({ cell, value, range }, d) => {
          const known = space === given || found(d);
          value.textContent = known ? short(point[space][d], 3) : "?";
          cell.className = `unit ${space === given ? "given" : known ? "found" : "unknown"}`;
          range.style.visibility = space === given ? "visible" : "hidden";
          range.value = point[space][d];
        });
      }
      outputs.forEach(({ cell, value }, d) => {
        value.textContent = found(d) ? `${short(parts[d].shift, 2)}, ${short(parts[d].s, 2)}` : "?";
        cell.className = `unit net ${found(d) ? "found" : "unknown"}`;
      });
      connect();
      words.textContent = sentence(parts);
      tables.replaceChildren(
        jacobianTable(flow, point.z, 0, 1, "Jacobian ∂x/∂z: a row for each x, a column for each z")
      );
      place.dataset.order = JSON.stringify({ given, pass, passes: passes(), z: [...point.z], x: [...point.x] });
    }

    const listed = (space, count) =>
      units
        .slice(0, count)
        .map((d) => named(space, d))
        .join(", ");

    function sentence(parts) {
      const to = computed();
      if (pass === 0) {
        return sequential()
          ? `${given} is given. The network reads ${read}, of which nothing is known yet: it has to be found unit by unit.`
          : `${given} is given, and it is what the network reads: one pass will give everything.`;
      }
      const logDet = (read === "x" ? 1 : -1) * parts.reduce((sum, part) => sum + part.s, 0);
      const done =
        pass === passes()
          ? ` Now log p(x) = log p(z) − log|det ∂x/∂z| = ${short(flow.baseLogProb(point.z), 3)} − (${short(logDet, 3)}) ` +
            `= ${short(flow.baseLogProb(point.z) - logDet, 3)}.`
          : "";
      if (!sequential()) return `One pass gives all shifts and scales, and with them all of ${to} at once.${done}`;
      const d = pass - 1;
      const reads = d === 0 ? "nothing" : listed(read, d);
      const { shift, s } = parts[d];
      return (
        `Pass ${pass}: the network reads ${reads}, and gives unit ${pass} its shift ${short(shift, 3)} and log-scale ${short(s, 3)}: ` +
        `${named(to, d)} = ${short(shift, 3)} + exp(${short(s, 3)}) · ${short(point[given][d], 3)} = ${short(point[to][d], 3)}.${done}`
      );
    }

    update();
  }

  root.pushforward.orderView = orderView;
})(globalThis);
