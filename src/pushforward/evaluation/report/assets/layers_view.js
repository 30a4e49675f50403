/* A flow layer by layer: a slider moves points and a grid from the base density to the data; a point can be dragged. */
(function (root) {
  "use strict";

  const { canvasOf, short, limits, translate, axisTicks, element, cut } = root.pushforward.draw;
  const GRID_LINES = 13;
  const GRID_POINTS = 61;
  const GRID_REACH = 3;
  // Milliseconds of computing between two frames, so that the page stays quick.
  const SLICE = 14;

  const WORDS = {
    marginal: "splines of single columns",
    affine: "shift and scale",
    lu: "linear mixing",
    orthogonal: "rotation",
    permutation: "permutation",
    autoregressive: "autoregressive layer",
    coupling: "coupling layer",
    planar: "planar layer",
    radial: "radial layer",
  };

  function nameOf(flow, stage) {
    const steps = flow.steps.length;
    if (stage === 0) return `base density, before the first of ${steps} steps`;
    const step = flow.steps[stage - 1];
    const swapped = step.swapped && step.kind === "autoregressive" ? "inverse " : "";
    return `${stage === steps ? "data, " : ""}after step ${stage} of ${steps}: ${swapped}${WORDS[step.kind] || step.kind}`;
  }

  /**
   * Build the picture within an element.
   *
   * data: {flow, columns: [{name, ...}], latents: [[...]], rows: [[...]], contexts: one for each row, context: the chosen one,
   *        jacobian: whether to show that of each step}
   */
  function layersView(place, data) {
    const { flow, columns } = data;
    const last = flow.steps.length;
    const size = flow.features;
    let pair = size > 1 ? [0, 1] : [0, 0];
    let at = last;
    let context = data.context || null;
    let draws = [];
    let rows = [];
    let grid = [];
    let frames = [];
    let turn = 0;
    let ready = false;
    let told = null;
    let point = flow.stages(
      new Float64Array(size).fill(0).map((_, d) => [0.8, 0.6][d] || 0),
      0,
      context
    );

    /* ---- the controls ---- */

    const slider = element("input", { type: "range", min: 0, max: last, step: 0.01, "aria-label": "Step of the flow" });
    const play = element("button", { type: "button", class: "play" }, "Play");
    const back = element("button", { type: "button", "aria-label": "One step back" }, "‹");
    const ahead = element("button", { type: "button", "aria-label": "One step ahead" }, "›");
    const where = element("output", { class: "where" });
    const still = element("canvas", { class: "space", tabindex: 0, role: "application" });
    const moving = element("canvas", { class: "space", tabindex: 0, role: "application" });
    const readout = element("div", { class: "readout", "aria-live": "polite" });
    const choices = element("div", { class: "controls" });
    if (size > 2) {
      const selects = pair.map((column, which) => {
        const select = element("select", { "aria-label": which ? "Vertical column" : "Horizontal column" });
        columns.forEach((one, c) => select.append(element("option", { value: c }, one.name)));
        select.value = column;
        select.addEventListener("change", () => {
          pair[which] = Number(select.value);
          if (pair[0] === pair[1]) {
            pair[1 - which] = (pair[which] + 1) % size;
            selects[1 - which].value = pair[1 - which];
          }
          compute();
        });
        return select;
      });
      choices.append("Columns ", selects[0], " and ", selects[1]);
    }
    const spaces = element(
      "div",
      { class: "spaces" },
      element("figure", {}, element("figcaption", {}, "Base space: drag the point"), still),
      element("figure", {}, element("figcaption", {}, where), moving)
    );
    place.replaceChildren(
      ...(size > 2 ? [choices] : []),
      spaces,
      element("div", { class: "controls" }, play, back, slider, ahead),
      readout
    );

    function move(value) {
      at = Math.min(last, Math.max(0, value));
      slider.value = at;
      const stage = Math.round(at);
      where.textContent = `${nameOf(flow, stage)}`;
      slider.setAttribute("aria-valuetext", where.textContent);
      moving.setAttribute("aria-label", `The flow ${where.textContent}. Arrow keys move the point.`);
      if (data.jacobian && Math.round(at) !== told) {
        told = Math.round(at);
        say();
      }
      askMoving();
    }
    slider.addEventListener("input", () => {
      stop();
      move(Number(slider.value));
    });
    slider.addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
      if (!by) return;
      event.preventDefault();
      stop();
      move(Math.round(at) + by);
    });
    back.addEventListener("click", () => (stop(), move(Math.ceil(at) - 1)));
    ahead.addEventListener("click", () => (stop(), move(Math.floor(at) + 1)));
    still.setAttribute("aria-label", "The base space. Arrow keys move the point.");

    let playing = null;
    function stop() {
      if (playing !== null) root.cancelAnimationFrame(playing);
      playing = null;
      play.textContent = "Play";
    }
    play.addEventListener("click", () => {
      if (playing !== null) return stop();
      const start = at >= last ? 0 : at;
      let begun = null;
      play.textContent = "Pause";
      const frame = (now) => {
        begun = begun === null ? now : begun;
        const value = start + (now - begun) / Math.max(500, Math.min(1100, 9000 / last));
        move(value);
        if (value >= last) stop();
        else playing = root.requestAnimationFrame(frame);
      };
      playing = root.requestAnimationFrame(frame);
    });

    /* ---- computing, a few milliseconds at a time ---- */

    function* work(mine) {
      const all = (list, from, contexts) =>
        list.map((row, place) => () => flow.stages(row, from, contexts ? contexts[place] : context));
      draws = [];
      rows = [];
      grid = [];
      const inOrder = [];
      for (let line = 0; line < (size > 1 ? 2 * GRID_LINES : 0); line++) {
        const made = [];
        grid.push(made);
        for (let along = 0; along < GRID_POINTS; along++) {
          const z = new Float64Array(size);
          const fixed = -GRID_REACH + (2 * GRID_REACH * (line % GRID_LINES)) / (GRID_LINES - 1);
          const free = -GRID_REACH + (2 * GRID_REACH * along) / (GRID_POINTS - 1);
          z[pair[0]] = line < GRID_LINES ? fixed : free;
          z[pair[1]] = line < GRID_LINES ? free : fixed;
          inOrder.push(() => made.push(flow.stages(z, 0, context)));
        }
      }
      for (const one of all(data.latents, 0)) inOrder.push(() => draws.push(one()));
      // Every row has its own conditions; the draws have those that the reader chose.
      for (const one of all(data.rows, last, data.contexts)) inOrder.push(() => rows.push(one()));
      for (const one of inOrder) {
        one();
        yield;
        if (mine !== turn) return;
      }
    }

    function compute() {
      const mine = ++turn;
      const jobs = work(mine);
      ready = false;
      place.setAttribute("aria-busy", "true");
      const slice = () => {
        const until = performance.now() + SLICE;
        let done = false;
        while (!done && performance.now() < until) done = jobs.next().done;
        if (mine !== turn) return;
        if (!done) return root.setTimeout(slice, 0);
        frames = framesOf();
        ready = true;
        place.removeAttribute("aria-busy");
        place.dataset.ready = "true";
        askStill();
        move(at);
      };
      slice();
    }

    /**
     * The limits of both axes at every stage. Stages in one space share a frame, so that what moves is the flow;
     * where a stage is far wider than another, each has its own.
     */
    function framesOf() {
      const own = flow.steps.concat([null]).map((_, stage) =>
        pair.map((column) =>
          limits(
            [...draws, ...rows].map((states) => states[stage][column]),
            0.003,
            0.05
          )
        )
      );
      const group = own.map((_, stage) => (stage > 0 && flow.steps[stage - 1].ofData ? stage : "latent"));
      return own.map((frame, stage) =>
        frame.map((range, axis) => {
          const others = own.filter((_, other) => group[other] === group[stage]).map((one) => one[axis]);
          const widths = others.map(([low, high]) => high - low);
          if (Math.max(...widths) > 2 * Math.min(...widths)) return range;
          return [Math.min(...others.map(([low]) => low)), Math.max(...others.map(([, high]) => high))];
        })
      );
    }

    /* ---- drawing ---- */

    /** Where a row is on the picture, from 0 to 1, at a fractional stage. */
    function position(states, value) {
      const stage = Math.min(last - 1, Math.floor(value));
      const part = value - stage;
      const smooth = part * part * (3 - 2 * part);
      return pair.map((column, axis) => {
        const [from, to] = [stage, stage + 1].map((one) => {
          const [low, high] = frames[one][axis];
          return (states[one][column] - low) / (high - low);
        });
        return from + smooth * (to - from);
      });
    }

    function boxOf(width, height) {
      return { x: 40, y: 6, width: width - 48, height: height - 36 };
    }

    function drawAt(value, context2d, width, height, colors) {
      const box = boxOf(width, height);
      context2d.strokeStyle = colors.line;
      context2d.strokeRect(box.x + 0.5, box.y + 0.5, box.width, box.height);
      context2d.fillStyle = colors.muted;
      if (!ready) {
        context2d.textAlign = "center";
        context2d.fillText("computing…", box.x + box.width / 2, box.y + box.height / 2);
        return;
      }
      axes(value, context2d, box, colors);
      context2d.save();
      context2d.beginPath();
      context2d.rect(box.x, box.y, box.width, box.height);
      context2d.clip();
      const pixel = ([x, y]) => [box.x + x * box.width, box.y + (1 - y) * box.height];
      context2d.lineWidth = 1;
      context2d.globalAlpha = 0.55;
      grid.forEach((line, order) => {
        context2d.strokeStyle = order < GRID_LINES ? colors.accent : colors.faint;
        context2d.beginPath();
        for (const states of line) context2d.lineTo(...pixel(position(states, value)));
        context2d.stroke();
      });
      context2d.globalAlpha = 0.5;
      context2d.fillStyle = colors.data;
      for (const states of rows) {
        const [x, y] = pixel(position(states, value));
        context2d.fillRect(x - 1.2, y - 1.2, 2.4, 2.4);
      }
      context2d.globalAlpha = 0.9;
      for (const states of draws) {
        // The color says from where in the base space a point comes.
        const angle = (Math.atan2(states[0][pair[1]], states[0][pair[0]]) * 180) / Math.PI;
        context2d.fillStyle = `hsl(${angle + 20} 75% ${colors.dark ? 65 : 42}%)`;
        const [x, y] = pixel(position(states, value));
        context2d.beginPath();
        context2d.arc(x, y, 2.1, 0, 7);
        context2d.fill();
      }
      context2d.globalAlpha = 1;
      const [x, y] = pixel(position(point, value));
      context2d.fillStyle = colors.card;
      context2d.strokeStyle = colors.text;
      context2d.lineWidth = 3;
      context2d.beginPath();
      context2d.arc(x, y, 7, 0, 7);
      context2d.fill();
      context2d.stroke();
      context2d.restore();
    }

    function axes(value, context2d, box, colors) {
      const stage = Math.round(value);
      const fade = Math.max(0, 1 - 4 * Math.abs(value - stage));
      context2d.globalAlpha = fade;
      pair.forEach((column, axis) => {
        const [low, high] = frames[stage][axis];
        const axisOf = stage === last ? columns[column] : { plain: true };
        const found = axisTicks(axisOf, low, high, Math.max(3, Math.round(box.width / 75)));
        for (const { at: tick, text } of found) {
          const share = (tick - low) / (high - low);
          if (share < 0.04 || share > 0.96) continue;
          context2d.textAlign = axis ? "right" : "center";
          const spot = axis
            ? [box.x - 4, box.y + (1 - share) * box.height + 4]
            : [box.x + share * box.width, box.y + box.height + 14];
          context2d.fillText(cut(text, axis ? 6 : 9), ...spot);
        }
      });
      context2d.globalAlpha = 1;
      context2d.fillStyle = colors.text;
      context2d.textAlign = "right";
      const names = pair.map((column) =>
        stage === last ? columns[column].name : stage === 0 ? `z${column + 1}` : columns[column].name
      );
      context2d.fillText(cut(names[0], 24), box.x + box.width, box.y + box.height + 25);
      if (size > 1) {
        context2d.textAlign = "left";
        context2d.fillText(cut(names[1], 24), box.x + 5, box.y + 14);
      }
    }

    const askStill = canvasOf(still, (...given) => drawAt(0, ...given));
    const askMoving = canvasOf(moving, (...given) => drawAt(at, ...given));

    /* ---- the point ---- */

    function put(stage, x, y) {
      const row = Float64Array.from(point[stage]);
      row[pair[0]] = x;
      if (size > 1) row[pair[1]] = y;
      point = flow.stages(row, stage, context);
      say();
      askStill();
      askMoving();
    }

    function say() {
      const logProb = flow.logProb(point[last], context);
      const cells = columns.map((column, d) =>
        element(
          "tr",
          {},
          element("th", { scope: "row" }, column.name),
          element("td", {}, short(point[0][d], 3)),
          element("td", {}, translate(column, point[last][d]))
        )
      );
      const heads = ["column", "z, base", "x, data"].map((text) => element("th", { scope: "col" }, text));
      readout.replaceChildren(
        element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...cells)),
        element("p", {}, `Log-density at this point: ${short(logProb)} nats.`)
      );
      if (data.jacobian) readout.append(jacobianOf(Math.max(1, Math.round(at))));
      place.dataset.point = JSON.stringify({ z: Array.from(point[0]), x: Array.from(point[last]), logProb });
    }

    /** ∂(after the step)/∂(before it) at the point, by central differences: what a layer's structure is. */
    function jacobianOf(stage) {
      const small = 1e-4;
      const columnsOf = point[stage - 1];
      const found = Array.from(columnsOf, (_, d) => {
        const ends = [small, -small].map((shift) => {
          const row = Float64Array.from(columnsOf);
          row[d] += shift;
          flow.through(row, stage - 1, stage, context);
          return row;
        });
        return Array.from(ends[0], (value, e) => (value - ends[1][e]) / (2 * small));
      });
      const line = (_, e) =>
        element(
          "tr",
          {},
          ...found.map((column) => {
            const value = Math.abs(column[e]) < 1e-9 ? 0 : column[e];
            return element("td", value === 0 ? { class: "zero" } : {}, short(value, 3));
          })
        );
      return element(
        "table",
        { class: "jacobian" },
        element("caption", {}, `Jacobian of step ${stage} at this point`),
        element("tbody", {}, ...found.map(line))
      );
    }

    function dragging(canvas, stageOf) {
      let held = false;
      const put2 = (event) => {
        const area = canvas.getBoundingClientRect();
        const box = boxOf(area.width, area.height);
        const stage = stageOf();
        const [[xLow, xHigh], [yLow, yHigh]] = frames[stage];
        const x = Math.min(1, Math.max(0, (event.clientX - area.left - box.x) / box.width));
        const y = Math.min(1, Math.max(0, 1 - (event.clientY - area.top - box.y) / box.height));
        put(stage, xLow + x * (xHigh - xLow), yLow + y * (yHigh - yLow));
      };
      canvas.addEventListener("pointerdown", (event) => {
        if (!ready) return;
        stop();
        held = true;
        canvas.setPointerCapture(event.pointerId);
        if (canvas === moving) move(Math.round(at));
        put2(event);
      });
      canvas.addEventListener("pointermove", (event) => held && put2(event));
      for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => (held = false));
      canvas.addEventListener("keydown", (event) => {
        const by = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
        if (!by || !ready) return;
        event.preventDefault();
        const stage = stageOf();
        const [x, y] = pair.map(
          (column, axis) => point[stage][column] + (by[axis] * (frames[stage][axis][1] - frames[stage][axis][0])) / 40
        );
        put(stage, x, y);
      });
    }
    dragging(still, () => 0);
    dragging(moving, () => Math.round(at));

    move(last);
    say();
    // Computed when it comes into sight, so that a page opens at once.
    const seen = new IntersectionObserver(
      (entries) => {
        if (!entries.some((entry) => entry.isIntersecting)) return;
        seen.disconnect();
        compute();
      },
      { rootMargin: "400px" }
    );
    seen.observe(place);

    return {
      setContext(value) {
        context = value;
        point = flow.stages(point[0], 0, context);
        if (place.dataset.ready) compute();
      },
    };
  }

  root.pushforward.layersView = layersView;
})(globalThis);
