/* What the pictures on canvases share: sharp pixels, the colors of the page's theme, axes, and short numbers. */
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

  root.pushforward = Object.assign(root.pushforward || {}, {
    draw: { canvasOf, ticks, short, limits, translate, axisTicks, element, cut },
  });
})(globalThis);
