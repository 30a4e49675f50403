/* The page itself: dark and light, tables that sort, short texts beside the pointer, and the pictures of its data. */
(function (root) {
  "use strict";

  const { pushforward } = root;

  /* ---- dark and light ---- */

  const wanted = root.matchMedia("(prefers-color-scheme: dark)");
  const button = document.querySelector(".theme");
  function theme(name) {
    document.documentElement.dataset.theme = name;
    button.textContent = name === "dark" ? "Light" : "Dark";
    button.setAttribute("aria-label", `Change to ${name === "dark" ? "light" : "dark"} colors`);
    root.dispatchEvent(new Event("themechange"));
  }
  theme(wanted.matches ? "dark" : "light");
  wanted.addEventListener("change", () => theme(wanted.matches ? "dark" : "light"));
  button.addEventListener("click", () => theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
  // Paper is white.
  let before = null;
  root.addEventListener("beforeprint", () => {
    before = document.documentElement.dataset.theme;
    theme("light");
    document.querySelectorAll("details").forEach((one) => (one.open = true));
  });
  root.addEventListener("afterprint", () => before && theme(before));

  /* ---- tables that sort ---- */

  const valueOf = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.value ?? cell.textContent.trim();
    const number = Number(text.replace("−", "-"));
    return text === "" || Number.isNaN(number) ? text : number;
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const press = document.createElement("button");
      press.type = "button";
      press.textContent = head.textContent;
      head.replaceChildren(press);
      press.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        heads.forEach((one) => one.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const body = table.tBodies[0];
        const rows = [...body.rows].sort((a, b) => {
          const [x, y] = [valueOf(a, column), valueOf(b, column)];
          const order = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y));
          return up ? order : -order;
        });
        body.append(...rows);
      });
    });
  }

  /* ---- short texts beside the pointer ---- */

  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);
  document.addEventListener("pointermove", (event) => {
    const text = event.target instanceof Element ? event.target.closest("[data-tip]")?.dataset.tip : null;
    tip.hidden = !text;
    if (!text) return;
    tip.textContent = text;
    tip.style.left = `${Math.min(event.clientX + 14, root.innerWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${Math.max(8, event.clientY - 34)}px`;
  });

  /* ---- where the reader is ---- */

  const links = [...document.querySelectorAll("nav a")];
  const sections = links.map((link) => document.querySelector(link.getAttribute("href")));
  const mark = () => {
    const middle = root.innerHeight / 3;
    const passed = sections.filter((section) => section.getBoundingClientRect().top < middle);
    const current = passed[passed.length - 1] || sections[0];
    links.forEach((link, place) => {
      if (sections[place] === current) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    });
  };
  document.addEventListener("scroll", mark, { passive: true });
  mark();

  /* ---- pictures ---- */

  const read = (id) => {
    const script = document.getElementById(id);
    return script && JSON.parse(script.textContent);
  };
  const points = read("points");
  const corner = document.querySelector(".corner-view");
  if (points && corner) pushforward.corner(corner, points);

  const figure = read("flow");
  if (figure) {
    const data = { ...figure, flow: pushforward.read(figure.flow), context: figure.contexts && figure.contexts[0] };
    const layers = pushforward.layersView(document.querySelector(".layers"), data);
    pushforward.sliceView(document.querySelector(".slice"), data);
    if (data.rows.length > 1) pushforward.interpolationView(document.querySelector(".between"), data);
    const given = document.querySelector(".given-row");
    if (given) given.addEventListener("change", () => layers.setContext(figure.contexts[given.value]));
  }
})(globalThis);
