/* What the pictures on canvases share: sharp pixels, the colors of the page's theme, axes, points that are dragged, and
 * short numbers. */
(function (root) {
  "use strict";

  /** Call `draw(context, width, height, colors)` now, and whenever the size or the theme changes. */
  function canvasOf(canvas, draw) {
    let asked = false;
    function redraw() {
      asked = false;
      const { width, height } = canvas.getBoundingClientRect();
      if (!width || !height) return;
      const ratio = root.devicePixelRatio || 1;
      if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
      if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
      const context = canvas.getContext("2d");
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, width, height);
      context.font = "11.5px system-ui, sans-serif";
      draw(context, width, height, colors());
    }
    function ask() {
      if (!asked) root.requestAnimationFrame(redraw);
      asked = true;
    }
    new ResizeObserver(ask).observe(canvas);
    root.addEventListener("themechange", ask);
    root.addEventListener("beforeprint", redraw);
    return ask;
  }

  function colors() {
    const style = getComputedStyle(document.documentElement);
    const found = {};
    for (const name of ["text", "muted", "line", "faint", "data", "model", "accent", "card"]) {
      found[name] = style.getPropertyValue(`--${name}`).trim();
    }
    found.dark = style.getPropertyValue("color-scheme").trim() === "dark";
    return found;
  }

  /** Round numbers that divide an interval into about `count` parts. */
  function ticks(low, high, count) {
    const raw = (high - low) / count;
    if (!(raw > 0) || !Number.isFinite(raw)) return [];
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((one) => one >= raw * 0.999);
    const found = [];
    for (let place = Math.ceil(low / step - 1e-9); place * step <= high + 1e-9 * step; place++)
      found.push(place * step);
    return found;
  }

  function short(value, digits = 4) {
    if (!Number.isFinite(value)) return "–";
    const text = Number(value.toPrecision(digits));
    return (
      Math.abs(text) >= 1e6 || (text !== 0 && Math.abs(text) < 1e-4) ? text.toExponential() : String(text)
    ).replace("-", "−");
  }

  function quantile(sorted, share) {
    return sorted[Math.min(sorted.length - 1, Math.max(0, Math.round(share * (sorted.length - 1))))];
  }

  /** The bulk of some numbers with a margin. */
  function limits(values, share = 0.005, margin = 0.06) {
    const sorted = Float64Array.from(values).filter(Number.isFinite).sort();
    if (!sorted.length) return [0, 1];
    const low = quantile(sorted, share);
    const high = quantile(sorted, 1 - share);
    const room = margin * (high - low) || 0.5;
    return [low - room, high + room];
  }

  /** What a number that the flow sees means in the column's own values. */
  function translate(axis, value) {
    if (!axis || axis.plain) return short(value);
    let nearest = 0;
    axis.at.forEach((at, place) => {
      if (Math.abs(at - value) < Math.abs(axis.at[nearest] - value)) nearest = place;
    });
    return axis.texts[nearest];
  }

  /** Ticks with texts: round numbers, or the column's values where the flow sees others. */
  function axisTicks(axis, low, high, count) {
    if (!axis || axis.plain) return ticks(low, high, count).map((at) => ({ at, text: short(at) }));
    const found = [];
    for (let place = 0; place < count; place++) {
      const at = low + ((place + 0.5) / count) * (high - low);
      const text = translate(axis, at);
      if (!found.length || found[found.length - 1].text !== text) found.push({ at, text });
    }
    return found;
  }

  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
      else if (value !== null && value !== undefined) made.setAttribute(key, value);
    }
    made.append(...children);
    return made;
  }

  function cut(text, most) {
    return text.length > most ? `${text.slice(0, most - 1)}…` : text;
  }

  /* ---- a plane of two columns ---- */

  /** Where a plane lies on its canvas, with room for axes. */
  const boxOf = (width, height) => ({ x: 40, y: 6, width: width - 48, height: height - 36 });

  /** Draw in a box: what lies beyond its edges is cut off. */
  function within(context, box, action) {
    context.save();
    context.beginPath();
    context.rect(box.x, box.y, box.width, box.height);
    context.clip();
    action();
    context.restore();
  }

  /** The ticks and names of both axes of a box; `frame` has the limits of each, `meanings` what their numbers are. */
  function axes(context, box, { frame, names, meanings = [], fade = 1 }, colors) {
    context.globalAlpha = fade;
    context.fillStyle = colors.muted;
    frame.forEach(([low, high], axis) => {
      for (const { at, text } of axisTicks(meanings[axis], low, high, Math.max(3, Math.round(box.width / 75)))) {
        const share = (at - low) / (high - low);
        if (share < 0.04 || share > 0.96) continue;
        context.textAlign = axis ? "right" : "center";
        const spot = axis
          ? [box.x - 4, box.y + (1 - share) * box.height + 4]
          : [box.x + share * box.width, box.y + box.height + 14];
        context.fillText(cut(text, axis ? 6 : 9), ...spot);
      }
    });
    context.globalAlpha = 1;
    context.fillStyle = colors.text;
    context.textAlign = "right";
    context.fillText(cut(names[0], 24), box.x + box.width, box.y + box.height + 25);
    context.textAlign = "left";
    if (names.length > 1) context.fillText(cut(names[1], 24), box.x + 5, box.y + 14);
  }

  /** The point that is dragged. */
  function ring(context, [x, y], colors, radius = 7) {
    context.fillStyle = colors.card;
    context.strokeStyle = colors.text;
    context.lineWidth = radius < 7 ? 2 : 3;
    context.beginPath();
    context.arc(x, y, radius, 0, 7);
    context.fill();
    context.stroke();
  }

  const ARROWS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

  /**
   * Let a point be dragged: `put(x, y, width, height)` takes pixels of the canvas, `nudge(right, up)` what an arrow key
   * says. Nothing happens where `begin(dragged)` gives false.
   */
  function draggable(canvas, { begin = () => true, put, nudge }) {
    let held = false;
    const follow = (event) => {
      const area = canvas.getBoundingClientRect();
      put(event.clientX - area.left, event.clientY - area.top, area.width, area.height);
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (begin(true) === false) return;
      held = true;
      canvas.setPointerCapture(event.pointerId);
      follow(event);
    });
    canvas.addEventListener("pointermove", (event) => held && follow(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => (held = false));
    canvas.addEventListener("keydown", (event) => {
      const by = ARROWS[event.key];
      if (!by || begin(false) === false) return;
      event.preventDefault();
      nudge(...by);
    });
  }

  root.pushforward = Object.assign(root.pushforward || {}, {
    draw: { canvasOf, ticks, short, limits, translate, axisTicks, element, cut, boxOf, within, axes, ring, draggable },
  });
})(globalThis);
