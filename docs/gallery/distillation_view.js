/* A teacher p and its student q side by side: both densities, the student's draws, and the divergence in nats. */
(function (root) {
  "use strict";

  const { canvasOf, short, limits, element, boxOf, within, axes, ring, draggable } = root.pushforward.draw;
  const CELLS = 72;
  const NAMES = { x: ["x1", "x2"], z: ["z1", "z2"] };
  // A draw with log q − log p beyond this many nats has the full color.
  const FULL = 1;

  /** data: {teacher, students: [{steps, flow, kl, klError}], latents, draws: those of the teacher} */
  function distillationView(place, data) {
    const { teacher, students, latents } = data;
    let chosen = students.length - 1;
    let x = teacher.forward([0.8, 0.6]).value;
    const seen = students.map(() => null);
    const frames = {
      x: [0, 1].map((axis) =>
        limits(
          data.draws.map((row) => row[axis]),
          0.002,
          0.14
        )
      ),
      z: [0, 1].map((axis) =>
        limits(
          latents.map((row) => row[axis]),
          0,
          0.06
        )
      ),
    };

    /* ---- what is computed: of a student when it is first chosen ---- */

    const ofTeacher = densityOf(teacher);
    const most = Math.max(...ofTeacher);

    function densityOf(flow) {
      const found = new Float64Array(CELLS * CELLS);
      for (let row = 0; row < CELLS; row++) {
        for (let column = 0; column < CELLS; column++) {
          const at = [column, CELLS - 1 - row].map((cell, axis) => {
            const [low, high] = frames.x[axis];
            return low + ((cell + 0.5) / CELLS) * (high - low);
          });
          found[row * CELLS + column] = Math.exp(flow.logProb(at));
        }
      }
      return found;
    }

    /** The student's density and its draws, each with log q − log p, whose mean is the divergence. */
    function student() {
      if (seen[chosen]) return seen[chosen];
      const { flow } = students[chosen];
      const draws = latents.map((z) => {
        const { value, logDet } = flow.forward(z);
        return { z, x: value, gap: flow.baseLogProb(z) - logDet - teacher.logProb(value) };
      });
      const kl = draws.reduce((sum, draw) => sum + draw.gap, 0) / draws.length;
      const squares = draws.reduce((sum, draw) => sum + (draw.gap - kl) ** 2, 0);
      const error = Math.sqrt(squares / (draws.length - 1) / draws.length);
      return (seen[chosen] = { draws, kl, error, density: densityOf(flow) });
    }

    /* ---- the controls ---- */

    const slider = element("input", {
      type: "range",
      min: 0,
      max: students.length - 1,
      step: 1,
      value: chosen,
      "aria-label": "Steps of training",
    });
    const where = element("output", { class: "where" });
    slider.addEventListener("input", () => {
      chosen = Number(slider.value);
      update();
    });
    const canvases = Object.fromEntries(
      ["teacher", "student", "base"].map((name) => [
        name,
        element("canvas", { class: "space", tabindex: 0, role: "application" }),
      ])
    );
    const captions = {
      teacher: "Teacher p(x), and its draws",
      student: "Student q(x), and its draws",
      base: "Base space of the student",
    };
    const words = element("p", { class: "point", "aria-live": "polite" });
    const course = element("table", { class: "numbers" });
    const point = element("table", { class: "numbers" });
    const pictures = Object.entries(canvases).map(([name, canvas]) =>
      element("figure", {}, element("figcaption", {}, captions[name]), canvas)
    );
    place.replaceChildren(
      element("div", { class: "controls" }, "Steps of training ", slider, where),
      element(
        "p",
        { class: "legend" },
        element("span", {}, element("i", { class: "data" }), "draws where q < p"),
        element("span", {}, element("i", { class: "model" }), "draws where q > p")
      ),
      element("div", { class: "spaces" }, ...pictures, element("div", { class: "figures" }, words, point, course))
    );

    function update() {
      const { kl, error } = student();
      const { flow, steps } = students[chosen];
      where.textContent = `${steps}`;
      slider.setAttribute("aria-valuetext", `${steps} steps`);
      const [p, q] = [teacher.logProb(x), flow.logProb(x)];
      words.textContent =
        `KL(q ‖ p) = ${short(kl, 2)} ± ${short(error, 2)} nats: the mean of log q − log p over these ${latents.length} draws. ` +
        `At the ring log q − log p = ${short(q - p, 3)}: the student's density is ${short(Math.exp(q - p), 3)} times its teacher's.`;
      const cells = (texts, head = "td") =>
        texts.map((text) => element(head, head === "th" ? { scope: "col" } : {}, text));
      const line = (name, one, logProb) => {
        const z = Array.from(one.inverse(x).value, (value) => short(value, 3)).join(", ");
        return element("tr", {}, element("th", { scope: "row" }, name), ...cells([z, short(logProb, 3)]));
      };
      point.replaceChildren(
        element("thead", {}, element("tr", {}, ...cells(["at the ring", "z", "log-density"], "th"))),
        element("tbody", {}, line("teacher", teacher, p), line("student", flow, q))
      );
      course.replaceChildren(
        element("thead", {}, element("tr", {}, ...cells(["steps", "KL(q ‖ p), 20,000 draws"], "th"))),
        element(
          "tbody",
          {},
          ...students.map((one, place2) =>
            element(
              "tr",
              place2 === chosen ? { "aria-current": "true" } : {},
              element("th", { scope: "row" }, `${one.steps}`),
              ...cells([`${short(one.kl, 2)} ± ${short(one.klError, 1)}`])
            )
          )
        )
      );
      for (const [name, canvas] of Object.entries(canvases)) {
        canvas.setAttribute("aria-label", `${captions[name]}. Arrow keys move the ring.`);
      }
      place.dataset.point = JSON.stringify({
        x: [...x],
        z: [...flow.inverse(x).value],
        logProb: q,
        teacher: p,
        kl,
        steps,
      });
      for (const ask of asks) ask();
    }

    /* ---- drawing ---- */

    const pixelOf = (box, frame) => (row) => [
      box.x + ((row[0] - frame[0][0]) / (frame[0][1] - frame[0][0])) * box.width,
      box.y + (1 - (row[1] - frame[1][0]) / (frame[1][1] - frame[1][0])) * box.height,
    ];

    function shade(context, box, density, color) {
      const image = document.createElement("canvas");
      image.width = image.height = CELLS;
      const inner = image.getContext("2d");
      inner.fillStyle = color;
      inner.fillRect(0, 0, CELLS, CELLS);
      const pixels = inner.getImageData(0, 0, CELLS, CELLS);
      density.forEach((value, cell) => (pixels.data[4 * cell + 3] = 215 * Math.sqrt(Math.min(1, value / most))));
      inner.putImageData(pixels, 0, 0);
      context.drawImage(image, box.x, box.y, box.width, box.height);
    }

    function panel(space, { density, color, points, at }) {
      return (context, width, height, colors) => {
        const box = boxOf(width, height);
        const pixel = pixelOf(box, frames[space]);
        context.strokeStyle = colors.line;
        context.strokeRect(box.x + 0.5, box.y + 0.5, box.width, box.height);
        axes(context, box, { frame: frames[space], names: NAMES[space] }, colors);
        within(context, box, () => {
          if (density) shade(context, box, density(), colors[color]);
          for (const { row, gap } of points()) {
            context.fillStyle = gap === null ? colors.text : gap > 0 ? colors.model : colors.data;
            context.globalAlpha = gap === null ? 0.6 : 0.25 + 0.75 * Math.min(1, Math.abs(gap) / FULL);
            context.beginPath();
            context.arc(...pixel(row), gap === null ? 1.3 : 2.2, 0, 7);
            context.fill();
          }
          context.globalAlpha = 1;
          ring(context, pixel(at()), colors);
        });
      };
    }

    const drawsIn = (space) => () => student().draws.map((draw) => ({ row: draw[space], gap: draw.gap }));
    const here = () => x;
    const panels = {
      teacher: panel("x", {
        density: () => ofTeacher,
        color: "faint",
        points: () => data.draws.map((row) => ({ row, gap: null })),
        at: here,
      }),
      student: panel("x", { density: () => student().density, color: "faint", points: drawsIn("x"), at: here }),
      base: panel("z", { points: drawsIn("z"), at: () => students[chosen].flow.inverse(x).value }),
    };
    const asks = Object.entries(canvases).map(([name, canvas]) => canvasOf(canvas, panels[name]));

    /* ---- the ring ---- */

    for (const [name, canvas] of Object.entries(canvases)) {
      const space = name === "base" ? "z" : "x";
      const moveTo = (row) => {
        const kept = row.map((value, axis) =>
          Math.min(frames[space][axis][1], Math.max(frames[space][axis][0], value))
        );
        x = space === "x" ? Float64Array.from(kept) : students[chosen].flow.forward(kept).value;
        update();
      };
      draggable(canvas, {
        put(across, down, width, height) {
          const box = boxOf(width, height);
          const shares = [(across - box.x) / box.width, 1 - (down - box.y) / box.height];
          moveTo(
            shares.map(
              (share, axis) => frames[space][axis][0] + share * (frames[space][axis][1] - frames[space][axis][0])
            )
          );
        },
        nudge(...by) {
          const from = space === "x" ? x : students[chosen].flow.inverse(x).value;
          moveTo(
            Array.from(
              from,
              (value, axis) => value + (by[axis] * (frames[space][axis][1] - frames[space][axis][0])) / 40
            )
          );
        },
      });
    }

    update();
  }

  root.pushforward.distillationView = distillationView;
})(globalThis);
