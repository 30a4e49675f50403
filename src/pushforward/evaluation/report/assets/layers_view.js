/* A flow layer by layer: a slider moves points and a grid from the base density to the data; a point can be dragged. */
(function (root) {
  "use strict";

  const { canvasOf, short, limits, translate, element, boxOf, within, axes, ring, draggable } = root.pushforward.draw;
  const GRID_LINES = 13;
  const GRID_POINTS = 61;
  const GRID_REACH = 3;
  const DISK_POINTS = 72;
  // Milliseconds of computing between two frames, so that the page stays quick.
  const SLICE = 14;

  const WORDS = {
    marginal: "splines of single columns",
    affine: "shift and scale",
    linear: "linear mixing",
    autoregressive: "autoregressive layer",
    coupling: "coupling layer",
    planar: "planar layer",
    radial: "radial layer",
    sylvester: "Sylvester layer",
    clustered: "splines and shares of clusters",
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
   *        disk: radius of a disk around the point in the base space, which moves with it; default none,
   *        lesson: {sentence, tables} of a stage, the point at all stages and its log-density; default the log-density}
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
    let disk = diskOf();

    /* ---- the controls ---- */

    const slider = element("input", { type: "range", min: 0, max: last, step: 0.01, "aria-label": "Step of the flow" });
    const play = element("button", { type: "button", class: "play" }, "Play");
    const back = element("button", { type: "button", "aria-label": "One step back" }, "‹");
    const ahead = element("button", { type: "button", "aria-label": "One step ahead" }, "›");
    const where = element("output", { class: "where" });
    const still = element("canvas", { class: "space", tabindex: 0, role: "application" });
    const moving = element("canvas", { class: "space", tabindex: 0, role: "application" });
    const tables = element("div", { class: "readout" });
    const sentence = element("p", { class: "point", "aria-live": "polite" });
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
      sentence,
      tables
    );

    function move(value) {
      at = Math.min(last, Math.max(0, value));
      slider.value = at;
      const stage = Math.round(at);
      where.textContent = `${nameOf(flow, stage)}`;
      slider.setAttribute("aria-valuetext", where.textContent);
      moving.setAttribute("aria-label", `The flow ${where.textContent}. Arrow keys move the point.`);
      if (data.lesson && Math.round(at) !== told) {
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
            data.disk ? 0.01 : 0.003,
            0.05
          )
        )
      );
      const group = own.map((_, stage) => (stage > 0 && flow.steps[stage - 1].ofData ? stage : "latent"));
      const shared = own.map((frame, stage) =>
        frame.map((range, axis) => {
          const others = own.filter((_, other) => group[other] === group[stage]).map((one) => one[axis]);
          const widths = others.map(([low, high]) => high - low);
          if (Math.max(...widths) > 2 * Math.min(...widths)) return range;
          return [Math.min(...others.map(([low]) => low)), Math.max(...others.map(([, high]) => high))];
        })
      );
      // A disk is round where both axes have one scale.
      return data.disk ? shared.map(square) : shared;
    }

    function square(frame) {
      const half = Math.max(...frame.map(([low, high]) => (high - low) / 2));
      return frame.map(([low, high]) => [(low + high) / 2 - half, (low + high) / 2 + half]);
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
      axesAt(value, context2d, box, colors);
      within(context2d, box, () => pointsAt(value, context2d, box, colors));
    }

    function pointsAt(value, context2d, box, colors) {
      const pixel = (states) => {
        const [x, y] = position(states, value);
        return [box.x + x * box.width, box.y + (1 - y) * box.height];
      };
      context2d.lineWidth = 1;
      context2d.globalAlpha = 0.55;
      grid.forEach((line, order) => {
        context2d.strokeStyle = order < GRID_LINES ? colors.accent : colors.faint;
        context2d.beginPath();
        for (const states of line) context2d.lineTo(...pixel(states));
        context2d.stroke();
      });
      context2d.globalAlpha = 0.5;
      context2d.fillStyle = colors.data;
      for (const states of rows) {
        const [x, y] = pixel(states);
        context2d.fillRect(x - 1.2, y - 1.2, 2.4, 2.4);
      }
      context2d.globalAlpha = 0.9;
      for (const states of draws) {
        // The color says from where in the base space a point comes; all colors are equally light.
        const angle = (Math.atan2(states[0][pair[1]], states[0][pair[0]]) * 180) / Math.PI;
        context2d.fillStyle = colors.dark ? `oklch(0.76 0.14 ${angle + 20})` : `oklch(0.56 0.16 ${angle + 20})`;
        context2d.beginPath();
        context2d.arc(...pixel(states), 2.1, 0, 7);
        context2d.fill();
      }
      if (disk) {
        context2d.fillStyle = context2d.strokeStyle = colors.model;
        context2d.lineWidth = 1.5;
        context2d.beginPath();
        for (const states of disk) context2d.lineTo(...pixel(states));
        context2d.closePath();
        context2d.globalAlpha = 0.4;
        context2d.fill();
        context2d.globalAlpha = 1;
        context2d.stroke();
      }
      context2d.globalAlpha = 1;
      // Small enough to leave the disk in sight.
      ring(context2d, pixel(point), colors, disk ? 4 : 7);
    }

    function axesAt(value, context2d, box, colors) {
      const stage = Math.round(value);
      const fade = Math.max(0, 1 - 4 * Math.abs(value - stage));
      const meanings = stage === last ? pair.map((column) => columns[column]) : [];
      const names = pair.map((column) => (stage === 0 ? `z${column + 1}` : columns[column].name));
      axes(context2d, box, { frame: frames[stage], names: names.slice(0, size), meanings, fade }, colors);
    }

    const askStill = canvasOf(still, (...given) => drawAt(0, ...given));
    const askMoving = canvasOf(moving, (...given) => drawAt(at, ...given));

    /* ---- the point ---- */

    /** The edge of the disk at every stage. */
    function diskOf() {
      if (!data.disk) return null;
      return Array.from({ length: DISK_POINTS }, (_, place2) => {
        const angle = (2 * Math.PI * place2) / DISK_POINTS;
        const z = Float64Array.from(point[0]);
        z[pair[0]] += data.disk * Math.cos(angle);
        z[pair[1]] += data.disk * Math.sin(angle);
        return flow.stages(z, 0, context);
      });
    }

    function put(stage, x, y) {
      const row = Float64Array.from(point[stage]);
      row[pair[0]] = x;
      if (size > 1) row[pair[1]] = y;
      point = flow.stages(row, stage, context);
      disk = diskOf();
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
      const lesson = data.lesson && data.lesson(flow, point, Math.round(at), logProb);
      sentence.textContent = lesson ? lesson.sentence : `Log-density at this point: ${short(logProb)} nats.`;
      tables.replaceChildren(
        element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...cells)),
        ...(lesson ? lesson.tables : [])
      );
      place.dataset.point = JSON.stringify({ z: Array.from(point[0]), x: Array.from(point[last]), logProb });
    }

    function dragging(canvas, stageOf) {
      draggable(canvas, {
        begin(dragged) {
          if (!ready) return false;
          if (dragged) stop();
          if (dragged && canvas === moving) move(Math.round(at));
        },
        put(x, y, width, height) {
          const box = boxOf(width, height);
          const stage = stageOf();
          const [across, up] = [(x - box.x) / box.width, 1 - (y - box.y) / box.height].map((share, axis) => {
            const [low, high] = frames[stage][axis];
            return low + Math.min(1, Math.max(0, share)) * (high - low);
          });
          put(stage, across, up);
        },
        nudge(...by) {
          const stage = stageOf();
          const moved = pair.map((column, axis) => {
            const [low, high] = frames[stage][axis];
            return point[stage][column] + (by[axis] * (high - low)) / 40;
          });
          put(stage, ...moved);
        },
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
        disk = diskOf();
        if (place.dataset.ready) compute();
      },
    };
  }

  root.pushforward.layersView = layersView;
})(globalThis);
